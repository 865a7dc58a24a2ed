// The Vercel AI SDK with its own telemetry turned on, a model that needs no network, and one tool.
import { OpenTelemetry } from "@ai-sdk/otel";
import { generateText, registerTelemetry, stepCountIs, tool } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { z } from "zod";

const sdk = new NodeSDK({ serviceName: "vercel-agent", traceExporter: new OTLPTraceExporter() });
sdk.start();
registerTelemetry(new OpenTelemetry());
const usage = { inputTokens: { total: 100, noCache: 100 }, outputTokens: { total: 20, text: 20 } };
const answers = [
  {
    content: [{ type: "tool-call", toolCallId: "call_1", toolName: "weather", input: '{"city":"Oslo"}' }],
    finishReason: { unified: "tool-calls", raw: "tool_calls" },
  },
  { content: [{ type: "text", text: "It rains in Oslo." }], finishReason: { unified: "stop", raw: "stop" } },
];
let at = 0;
const model = new MockLanguageModelV4({
  modelId: "mock-model",
  doGenerate: async () => ({ ...answers[at++], usage, warnings: [] }),
});
const { text } = await generateText({
  model,
  prompt: "How is the weather in Oslo?",
  tools: {
    weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `rain in ${city}` }),
  },
  stopWhen: stepCountIs(3),
  telemetry: { functionId: "weather-agent" },
});
console.log(text);
await sdk.shutdown();
