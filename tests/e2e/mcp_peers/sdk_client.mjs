// Says everything that server-everything understands, by the TypeScript SDK, and prints what came back.
//
// usage: node sdk_client.mjs stdio|http|sse TARGET SDK_FOLDER. TARGET is a URL, for stdio the server's command as a JSON
// array. Prints one JSON object, step -> result; the twin of sdk_client.py.
import { createHash } from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [, , transport, target, sdk] = process.argv;
const load = (file) => import(pathToFileURL(path.join(sdk, "dist", "esm", file)));
const { Client } = await load("client/index.js");
const types = await load("types.js");

const TEXT = 'a\u2028b\u2029c\u0085d \u4e16\u754c \u{1F600} "q" \\ \t \x01 end';
const LONG = 2000;
const CHANGING = /\d{1,2}:\d\d:\d\d(\s?[AP]M)?|\d{4}-\d\d-\d\dT[\d:.]+Z?/g;

const plain = (value) =>
  JSON.parse(
    JSON.stringify(value ?? null, (_, found) => {
      if (typeof found !== "string") return found;
      if (found.length > LONG) return `<${found.length} ${createHash("sha256").update(found).digest("hex").slice(0, 16)}>`;
      return /^[A-Za-z0-9+/=]{24,}$/.test(found) ? `<base64 ${found.length}>` : found.replace(CHANGING, "<time>");
    }),
  );

const client = new Client(
  { name: "sdk-client", version: "1" },
  { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } },
);
client.setRequestHandler(types.CreateMessageRequestSchema, async () => ({
  role: "assistant",
  model: "stub",
  content: { type: "text", text: TEXT },
  stopReason: "endTurn",
}));
client.setRequestHandler(types.ElicitRequestSchema, async () => ({
  action: "accept",
  content: { name: "Zo\u00eb \u2028", check: true },
}));
client.setRequestHandler(types.ListRootsRequestSchema, async () => ({ roots: [{ uri: "file:///srv/one", name: "one" }] }));

const connection = async () => {
  if (transport === "stdio") {
    const { StdioClientTransport } = await load("client/stdio.js");
    const [command, ...args] = JSON.parse(target);
    return new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" });
  }
  if (transport === "sse") {
    const { SSEClientTransport } = await load("client/sse.js");
    return new SSEClientTransport(new URL(target));
  }
  const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
  return new StreamableHTTPClientTransport(new URL(target));
};

const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options);
const steps = {
  tools: () => client.listTools(),
  resources: () => client.listResources(),
  prompts: () => client.listPrompts(),
  ping: () => client.ping(),
  echo: () => call("echo", { message: TEXT }),
  "bad arguments": () => call("get-sum", { a: "x" }),
  "unknown tool": () => call("nope"),
  image: () => call("get-tiny-image"),
  text: () => client.readResource({ uri: "demo://resource/dynamic/text/1" }),
  "unknown resource": () => client.readResource({ uri: "demo://nope" }),
  prompt: () => client.getPrompt({ name: "args-prompt", arguments: { city: "Z\u00fcrich" } }),
  sampling: () => call("trigger-sampling-request", { prompt: TEXT, maxTokens: 10 }),
  elicitation: () => call("trigger-elicitation-request"),
  roots: () => call("get-roots-list"),
  progress: async () => {
    const told = [];
    // the SDK forgets whom to tell of the last step if the result comes in the same packet
    const onprogress = (found) => found.progress < found.total && told.push([found.progress, found.total]);
    return [await call("trigger-long-running-operation", { duration: 1, steps: 5 }, { onprogress }), told];
  },
  "many at once": () => Promise.all([...Array(50).keys()].map((a) => call("get-sum", { a, b: 1000 }))),
  long: () => call("echo", { message: "B".repeat(900_000) }),
  "cancelled, then another": async () => {
    const giveUp = new AbortController();
    setTimeout(() => giveUp.abort("enough"), 300);
    const options = { signal: giveUp.signal };
    const ended = await call("trigger-long-running-operation", { duration: 20, steps: 20 }, options).catch(() => "given up");
    return [ended, await call("echo", { message: "still there" })];
  },
};

const used = await connection();
await client.connect(used);
const results = { server: plain(client.getServerVersion()) };
for (const [name, step] of Object.entries(steps)) {
  results[name] = await step().then(plain, (error) => ({ failed: error.name, code: error.code, message: error.message }));
}
if (transport === "http") await used.terminateSession();
await client.close();
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
