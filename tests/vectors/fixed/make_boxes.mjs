// Seals with pwa/src/crypto what boxes.json marks `typescript` and has no box yet. See make_boxes.py.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const pwa = fileURLToPath(new URL("../../../pwa/", import.meta.url));
const { runnerImport } = await import(createRequire(pwa).resolve("vite").replace("index.cjs", "node/index.js"));
const { module } = await runnerImport(`${pwa}src/crypto/box.ts`, { root: pwa, logLevel: "error" });
const file = new URL("boxes.json", import.meta.url);
const boxes = JSON.parse(await readFile(file, "utf8"));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
for (const box of Object.values(boxes)) {
  if (box.maker !== "typescript" || box.box !== "") continue;
  const sealed = await module.sealBox(bytes(box.public), box.name, bytes(box.context), bytes(box.plaintext));
  box.box = Buffer.from(sealed).toString("hex");
}
await writeFile(file, `${JSON.stringify(boxes, null, 1)}\n`);
