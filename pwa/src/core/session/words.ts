/** Own changes that lie in the outbox unsigned, until they go. Why: `packing`. Mirror of core/eigenkring/session/words.py. */
import { bytes, list, nullable, pack, tuple, u64, unpack } from "../shape";
import type { OutboxItem } from "../store";

/** Own changes that nobody else has seen, made in one incarnation, in their order. `day`: claimed of when they were made. */
export interface Words {
  readonly incarnation: Uint8Array;
  readonly day: number | null;
  readonly changes: readonly Uint8Array[];
}

const wordsShape = tuple(bytes(8), nullable(u64), list(bytes(), 1));

/** For the outbox, in the place of a record. */
export function packWords({ incarnation, day, changes }: Words): Uint8Array {
  return pack(wordsShape, [incarnation, day, changes]);
}

/** What an item of the outbox holds unsigned; undefined where it is something else. */
export function unsigned({ stream, record, ops }: OutboxItem): Words | undefined {
  if (!stream || record) return undefined;
  const [incarnation, day, changes] = unpack(wordsShape, ops);
  return { incarnation, day, changes };
}
