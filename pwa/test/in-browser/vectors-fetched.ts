/** The vectors in one file beside the page: vite.tested.config.ts writes it. */
const all: Readonly<Record<string, [string, unknown][]>> = await (await fetch("./vectors.json")).json();

export function readVectors(area: string): [string, unknown][] {
  const found = all[area];
  if (!found) throw new Error(`no vectors of ${area}`);
  return structuredClone(found);
}
