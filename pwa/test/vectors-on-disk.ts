/** Reads one area of tests/vectors: names without their ending, in order. In a page: in-browser/vectors-fetched.ts. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export function readVectors(area: string): [string, unknown][] {
  const folder = fileURLToPath(new URL(`../../tests/vectors/${area}/`, import.meta.url));
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => [name.slice(0, -5), JSON.parse(readFileSync(folder + name, "utf8"))]);
}
