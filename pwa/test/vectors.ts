/** The test vectors that Python made and runs too: tests/vectors. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EigenkringError } from "../src/core/errors";

// biome-ignore lint/suspicious/noExplicitAny: a vector is JSON whose shape its kind tells
export type Vector = any;

export function vectorsOf(area: string): Map<string, Vector> {
  const folder = fileURLToPath(new URL(`../../tests/vectors/${area}/`, import.meta.url));
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return new Map(
    names
      .sort()
      .map((name) => [name.slice(0, -5), JSON.parse(readFileSync(folder + name, "utf8")) as Vector]),
  );
}

/** What came of it, or the code of the refusal. */
export async function outcome<T>(
  act: () => T | Promise<T>,
): Promise<{ readonly out: T } | { readonly error: string }> {
  try {
    return { out: await act() };
  } catch (error) {
    if (error instanceof EigenkringError) return { error: error.code };
    throw error;
  }
}

/** The part of a vector that `outcome` is compared with. */
export function expected({ out, error }: Vector): Vector {
  return error === undefined ? { out } : { error };
}
