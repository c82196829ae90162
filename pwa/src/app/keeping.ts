/** Asking the browser to keep what lies here. */
import type { Engine } from "./engine";

type Storage = { persist?: () => Promise<boolean> };
/** The first words of a person, or a place of their own: from here on there is something to lose. */
const CONTRIBUTES = [
  "start",
  "add",
  "set",
  "attach",
  "recover",
  "moveIn",
  "saveCopy",
] as const satisfies readonly (keyof Engine)[];

/**
 * Asks once, after the first thing a person did that succeeded, and not when the app opens: a browser that asks the person
 * would ask before there is anything to see. It may say no; then nothing is lost yet.
 */
export function keepAfterFirstWords<T extends Engine>(engine: T, storage: Storage | undefined): T {
  let asked = false;
  const keep = (): void => {
    if (asked) return;
    asked = true;
    void storage?.persist?.().catch(() => false);
  };
  const watched = CONTRIBUTES.map((verb) => {
    const ask = engine[verb] as (...args: unknown[]) => Promise<unknown>;
    const asking = async (...args: unknown[]): Promise<unknown> => {
      const answer = await ask(...args);
      keep();
      return answer;
    };
    return [verb, asking] as const;
  });
  return { ...engine, ...Object.fromEntries(watched) };
}
