// Times of opening a case: `node test/open-case.mjs 10000`.
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { module } = await runnerImport("./test/open-case.ts", { configFile: false, logLevel: "error" });
const times = await module.measure(Number(process.argv[2] ?? 10_000));
process.stdout.write(`${JSON.stringify(times)}\n`);
process.exit(0);
