"""MCP clients and servers of the Python SDK (mcp 1.x and 2.x) and of fastmcp -> one span a request and side.

Comes in: requests of both directions, over any transport or none. Goes out: CLIENT spans of what is sent, SERVER spans
of what is handled (semantic conventions, MCP), with arguments and results; the sender's span is the parent of the
handler's, named in ``params._meta``. Switched on by ``agent_trace_otel.instrument()``.

A span covers JSON-RPC, not HTTP: what an HTTP instrumentation tells stands beside it. Requests that are refused before
a handler is looked for (no valid request, not initialized) have no SERVER span.
"""

from __future__ import annotations

from agent_trace_instrumentors import _mcp_fastmcp as fastmcp
from agent_trace_instrumentors import _mcp_transports as transports
from agent_trace_instrumentors import _mcp_v1 as v1
from agent_trace_instrumentors import _mcp_v2 as v2
from agent_trace_instrumentors._base import Instrumentor, Library, Target


class McpInstrumentor(Instrumentor):
    """One span a request and side: method, tool, arguments, result, failure, progress."""

    name = "mcp"
    library = Library("mcp", oldest=(1, 10), before=(3,))
    targets = (
        Target("mcp.client.stdio", "stdio_client", transports.around_stdio, while_suppressed=True),
        Target(
            "mcp.client.streamable_http",
            "StreamableHTTPTransport.post_writer",
            transports.around_post_writer,
            while_suppressed=True,
        ),
        # 1.x alone has this module
        Target("mcp.shared.session", "BaseSession.send_request", v1.around_send),
        Target("mcp.shared.session", "BaseSession.send_notification", v1.around_notify),
        Target("mcp.shared.session", "RequestResponder.__enter__", v1.around_enter),
        Target("mcp.shared.session", "RequestResponder.respond", v1.around_respond, while_suppressed=True),
        Target("mcp.shared.session", "RequestResponder.__exit__", v1.around_exit, while_suppressed=True),
        # 2.x alone has these
        Target("mcp.shared.jsonrpc_dispatcher", "JSONRPCDispatcher.send_raw_request", v2.around_send),
        Target("mcp.shared.jsonrpc_dispatcher", "otel_span", v2.around_native_client_span),
        Target("mcp.shared.jsonrpc_dispatcher", "inject_trace_context", v2.around_inject),
        Target("mcp.shared.direct_dispatcher", "DirectDispatcher._dispatch_request", v2.around_send),
        Target("mcp.server.runner", "ServerRunner._on_request", v2.around_handle),
        # both have mcp.client.session, but only 2.x this one
        Target("mcp.client.client", "ClientSession._on_request", v2.around_handle),
        Target("mcp.client.client", "ClientSession.dispatch_input_request", v2.around_input_request),
        Target("mcp.client.client", "ClientSession._intercept_notification", v2.around_notification),
        Target("mcp.server._otel", "OpenTelemetryMiddleware.__call__", v2.around_native_server_span),
        # on top of either
        Target("fastmcp.client.telemetry", "get_tracer", fastmcp.around_client_tracer),
        Target("fastmcp.server.telemetry", "get_tracer", fastmcp.around_server_tracer),
    )
