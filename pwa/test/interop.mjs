// Runs interop-cli.ts under Node as it is: `node test/interop.mjs`, one JSON command per line, one JSON answer per line.
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { module } = await runnerImport("./test/interop-cli.ts", { configFile: false, logLevel: "error" });
await module.serve(process.stdin, process.stdout);
