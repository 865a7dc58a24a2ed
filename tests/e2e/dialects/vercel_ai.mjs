// Vercel's AI SDK: an answer with a tool, and a stream, traced by its OpenTelemetry integration.
import { createOpenAI } from '@ai-sdk/openai';
import { trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import * as otel from '@ai-sdk/otel';
import * as ai from 'ai';
import { writeFileSync } from 'node:fs';

const [, , file, url, integration] = process.argv;
const CHANGING = ['gen_ai.response.time_to_first_chunk', 'ai.response.msToFirstChunk', 'ai.response.msToFinish', 'ai.response.avgOutputTokensPerSecond', 'ai.response.timestamp'];
const KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const begun = new Map();
const spans = [];
const plain = (values) => Object.fromEntries(Object.entries(values).filter(([name]) => !CHANGING.includes(name)));
const samples = {
  onStart(span) {
    begun.set(span.spanContext().spanId, [begun.size + 1, Object.keys(span.attributes).sort()]);
  },
  onEnd(span) {
    const [id, knownAtStart] = begun.get(span.spanContext().spanId);
    const parent = begun.get(span.parentSpanContext?.spanId ?? span.parentSpanId);
    spans.push({
      id,
      parent: parent ? parent[0] : null,
      scope: (span.instrumentationScope ?? span.instrumentationLibrary).name,
      name: span.name,
      kind: KINDS[span.kind],
      status: ['UNSET', 'OK', 'ERROR'][span.status.code],
      known_at_start: knownAtStart,
      attributes: plain(span.attributes),
      events: span.events.map((event) => [event.name, plain(event.attributes ?? {})]),
    });
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};
const provider = new NodeTracerProvider({ spanProcessors: [samples] });
provider.register();
const Integration = integration === 'legacy' ? otel.LegacyOpenTelemetry : otel.OpenTelemetry;
ai.registerTelemetry(new Integration());
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'k' });
const weather = ai.tool({
  description: 'Tell the weather.',
  inputSchema: ai.jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }),
  execute: async () => 'sunny in Paris',
});
const settings = { isEnabled: true, functionId: 'forecaster', metadata: { sessionId: 'talk-1' } };
const telemetry = { experimental_telemetry: settings, telemetry: settings };
const model = openai.chat('gpt-4o-mini');
await ai.generateText({
  model, prompt: 'How is the weather?', tools: { weather }, stopWhen: ai.stepCountIs(3), ...telemetry,
});
const stream = ai.streamText({ model, prompt: 'How is the weather?', ...telemetry });
for await (const _ of stream.textStream);
writeFileSync(file, spans.map((span) => `${JSON.stringify(span)}\n`).join(''));
