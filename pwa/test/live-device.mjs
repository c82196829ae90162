// Devices of the app's library under Node: `node test/live-device.mjs`, one JSON command per line, one JSON answer per line.
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { module } = await runnerImport("./test/live-device.ts", { configFile: false, logLevel: "error" });
await module.serve(process.stdin, process.stdout);
