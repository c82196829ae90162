/** The test vectors that Python made and runs too: tests/vectors. */
import { EigenkringError } from "../src/core/errors";
import { readVectors } from "./vectors-on-disk";

// biome-ignore lint/suspicious/noExplicitAny: a vector is JSON whose shape its kind tells
export type Vector = any;

export function vectorsOf(area: string): Map<string, Vector> {
  return new Map(readVectors(area));
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
