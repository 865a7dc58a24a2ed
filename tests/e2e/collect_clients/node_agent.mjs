// An agent in Node with the stock SDK and no code of ours: one turn, one model call, one tool call that makes an HTTP
// span. Where spans go is told by OTEL_EXPORTER_OTLP_ENDPOINT alone.
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";

const sdk = new NodeSDK({ serviceName: "node-agent", traceExporter: new OTLPTraceExporter() });
sdk.start();
const tracer = trace.getTracer("node-agent", "1.0.0");
const conversation = { "gen_ai.conversation.id": "node-talk" };

await tracer.startActiveSpan(
  "invoke_agent helper",
  { attributes: { "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper", ...conversation } },
  async (root) => {
    await tracer.startActiveSpan("chat gpt-x", { kind: SpanKind.CLIENT }, async (chat) => {
      chat.setAttributes({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.input.messages": JSON.stringify([{ role: "user", parts: [{ type: "text", content: "List it." }] }]),
      });
      chat.end();
    });
    await tracer.startActiveSpan("execute_tool list_files", async (tool) => {
      tool.setAttributes({
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "list_files",
        "gen_ai.tool.call.arguments": JSON.stringify({ path: "." }),
      });
      await tracer.startActiveSpan("GET", { kind: SpanKind.CLIENT }, async (http) => {
        http.setAttribute("http.request.method", "GET");
        http.end();
      });
      tool.setStatus({ code: SpanStatusCode.ERROR, message: "no such directory" });
      tool.end();
    });
    root.end();
  },
);
await sdk.shutdown();
