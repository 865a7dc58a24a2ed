"""Every attribute name, operation value and event name, spelled once; nobody else spells one.

Names follow the GenAI and MCP semantic conventions (open-telemetry/semantic-conventions-genai, v0.1.0 era, read
2026-10-07) and the core conventions (v1.41). All of GenAI is at stability "development". What has no convention lives
under ``agent_trace.*`` and is documented in the README.
"""

from __future__ import annotations

from typing import Final

CONVENTION: Final = "semantic-conventions-genai v0.1.0"

# gen_ai: what a span is
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
CONVERSATION_ID: Final = "gen_ai.conversation.id"

# gen_ai: model calls
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"

# gen_ai: tool calls
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

# mcp
MCP_METHOD_NAME: Final = "mcp.method.name"
MCP_PROTOCOL_VERSION: Final = "mcp.protocol.version"
MCP_RESOURCE_URI: Final = "mcp.resource.uri"
MCP_SESSION_ID: Final = "mcp.session.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
JSONRPC_REQUEST_ID: Final = "jsonrpc.request.id"
JSONRPC_PROTOCOL_VERSION: Final = "jsonrpc.protocol.version"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"

# core conventions
ERROR_TYPE: Final = "error.type"
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
FILE_PATH: Final = "file.path"
HOST_NAME: Final = "host.name"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
NETWORK_PROTOCOL_NAME: Final = "network.protocol.name"
NETWORK_PROTOCOL_VERSION: Final = "network.protocol.version"
NETWORK_TRANSPORT: Final = "network.transport"
PROCESS_COMMAND_ARGS: Final = "process.command_args"
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_EXECUTABLE_PATH: Final = "process.executable.path"
PROCESS_EXIT_CODE: Final = "process.exit.code"
PROCESS_PID: Final = "process.pid"
PROCESS_WORKING_DIRECTORY: Final = "process.working_directory"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
SESSION_ID: Final = "session.id"

# Claude Code's own telemetry, so that its spans and ours meet
PROMPT_ID: Final = "prompt.id"

# operations (values of gen_ai.operation.name)
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
EXECUTE_TOOL: Final = "execute_tool"
GENERATE_CONTENT: Final = "generate_content"
INVOKE_AGENT: Final = "invoke_agent"
INVOKE_WORKFLOW: Final = "invoke_workflow"
TEXT_COMPLETION: Final = "text_completion"
MODEL_OPERATIONS: Final = frozenset({CHAT, EMBEDDINGS, GENERATE_CONTENT, TEXT_COMPLETION})

# our own: what has no convention
SCOPE: Final = "agent_trace.scope"
OUTCOME: Final = "agent_trace.outcome"
KEY: Final = "agent_trace.key"
RUN: Final = "agent_trace.run"
PROCESS_START: Final = "agent_trace.process.start"
BOOT_ID: Final = "agent_trace.boot_id"
CHUNKS: Final = "agent_trace.chunks"
DUPLICATES: Final = "agent_trace.duplicates"
DECISION_EVENT: Final = "agent_trace.decision"
DECISION_CHOICE: Final = "agent_trace.decision.choice"
DECISION_REASON: Final = "agent_trace.decision.reason"
DECISION_ALTERNATIVES: Final = "agent_trace.decision.alternatives"
USER_PROMPT_EVENT: Final = "agent_trace.user_prompt"
ASSISTANT_RESPONSE_EVENT: Final = "agent_trace.assistant_response"
FILE_READ_EVENT: Final = "agent_trace.file_read"
FILE_WRITE_EVENT: Final = "agent_trace.file_write"
FILE_OPEN_MODE: Final = "agent_trace.file.open_mode"  # the conventions' file.mode is who may read it
FILE_BYTES: Final = "agent_trace.file.bytes"
TEXT: Final = "agent_trace.text"
MCP_PARAMS: Final = "agent_trace.mcp.params"
MCP_RESULT: Final = "agent_trace.mcp.result"
MCP_NOTIFICATION_EVENT: Final = "agent_trace.mcp.notification"
MCP_REFUSED_EVENT: Final = "agent_trace.mcp.refused"
MCP_CLIENT_INFO: Final = "agent_trace.mcp.client_info"
MCP_SERVER_INFO: Final = "agent_trace.mcp.server_info"
MCP_LOST_COPIES: Final = "agent_trace.mcp.lost_copies"
MCP_UNREADABLE: Final = "agent_trace.mcp.unreadable"
MCP_UNMATCHED: Final = "agent_trace.mcp.unmatched"
PROMPT_SOURCE: Final = "agent_trace.prompt.source"
PERMISSION_REQUEST_EVENT: Final = "agent_trace.permission_request"
COMPACTION_EVENT: Final = "agent_trace.compaction"
HOOK_EVENT: Final = "agent_trace.hook"
HOOK_NAME: Final = "agent_trace.hook.name"
DETAIL: Final = "agent_trace.detail"
START_SOURCE: Final = "agent_trace.session.source"
END_REASON: Final = "agent_trace.session.end_reason"
SESSION_COST: Final = "agent_trace.session.cost_usd"
COST: Final = "agent_trace.cost_usd"
ATTEMPTS: Final = "agent_trace.attempts"
REQUEST_ID: Final = "agent_trace.request.id"
ERROR_CODE: Final = "agent_trace.error.code"
LINES_READ: Final = "agent_trace.lines.read"
LINES_ADDED: Final = "agent_trace.lines.added"
LINES_REMOVED: Final = "agent_trace.lines.removed"
MCP_SERVER: Final = "agent_trace.mcp.server"
MCP_TOOL: Final = "agent_trace.mcp.tool"

SCOPE_SESSION: Final = "session"
SCOPE_TURN: Final = "turn"
SCOPE_NODE: Final = "node"

# values of error.type that are no exception and no code (semantic conventions, MCP)
TOOL_ERROR: Final = "tool_error"
TIMEOUT_ERROR: Final = "timeout"

# outcomes (values of agent_trace.outcome) and which of them set status ERROR
OUTCOME_OK: Final = "ok"
OUTCOME_ERROR: Final = "error"
OUTCOME_ABANDONED: Final = "abandoned"
OUTCOME_BLOCKED: Final = "blocked"
OUTCOME_DENIED: Final = "denied"
OUTCOME_INTERRUPTED: Final = "interrupted"
OUTCOME_INVALID: Final = "invalid"
OUTCOME_LOST: Final = "lost"
OUTCOME_UNKNOWN: Final = "unknown"
OUTCOME_UNKNOWN_TOOL: Final = "unknown_tool"
FAILED_OUTCOMES: Final = frozenset(
    {OUTCOME_ERROR, OUTCOME_DENIED, OUTCOME_BLOCKED, OUTCOME_INVALID, OUTCOME_UNKNOWN_TOOL, OUTCOME_LOST}
)
