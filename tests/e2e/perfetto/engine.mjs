// Requests of Perfetto's trace processor on stdin -> its answers on stdout, both as streams of TraceProcessorRpc. The
// engine is that of Perfetto's page, in WebAssembly; the page runs it in a web worker, for which a context stands in.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";

const folder = process.argv[2];
const say = (...words) => process.stderr.write(`${words.join(" ")}\n`);
const context = vm.createContext({
  console: { log: say, warn: say, error: say },
  WorkerGlobalScope: function () {},
  location: { href: "http://localhost/engine_bundle.js" },
  URL,
  TextDecoder,
  TextEncoder,
  performance,
  setTimeout,
  XMLHttpRequest: class {
    open(_, name) {
      this.name = name;
    }
    send() {
      const bytes = readFileSync(join(folder, String(this.name).split("/").pop()));
      this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
      this.status = 200;
    }
  },
});
vm.runInContext("self = globalThis", context);
vm.runInContext(readFileSync(join(folder, "engine_bundle.js"), "utf8"), context);
const port = { postMessage: (answer) => process.stdout.write(Buffer.from(answer)) };
context.onmessage({ data: port });
const requests = readFileSync(0);
const Bytes = vm.runInContext("Uint8Array", context);
await new Promise((done) => setTimeout(done, 0)); // the engine begins in microtasks
port.onmessage({ data: Bytes.from(requests) });
