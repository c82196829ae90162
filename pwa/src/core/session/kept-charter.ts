/**
 * The charter as it was last folded, in this device's own store: the first screen of a case checks no signature a second
 * time. It is only shown. Whatever is written, sent or decided stands on the charter as its records say it
 * (`CaseState.foldCharter`), which takes its place a moment later.
 */
import { Heads } from "../charter/log";
import { Charter, type CharterFields } from "../charter/state";
import { type Chain, type EntryHash, same } from "../ids";
import { BadPacked, type Packable, type Packed } from "../packed";
import { bytes, pack, type Shape, struct, u64, unpack } from "../shape";
import type { Position } from "../stream";
import type { Holding } from "./holding";
import { whole, withDigest } from "./kept";

/** Another number for other fields, or other rules of what an entry does. */
const VERSION = 1;
const NAME = "charter";

const keptShape = struct({
  version: u64,
  length: u64,
  chain: bytes<Chain>(32),
  charter: {
    read: (value: Packed): Packed => value,
    write: (value: Packable): Packable => value,
  } as Shape<Packed>,
});

/** What a list of it is, says its first number; bytes, texts, numbers, yes, no and nothing are themselves. */
const [LIST, MAP, SET, FIELDS, HEADS, ABSENT] = [0, 1, 2, 3, 4, 5];

function frozen(value: unknown): Packable {
  if (value === undefined) return [ABSENT];
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value as Packable;
  if (Array.isArray(value)) return [LIST, ...value.map(frozen)];
  if (value instanceof Map) return [MAP, ...[...value].flat().map(frozen)];
  if (value instanceof Set) return [SET, ...[...value].map(frozen)];
  if (value instanceof Heads) return [HEADS, ...value];
  return [FIELDS, ...Object.entries(value).flat().map(frozen)];
}

function thawed(value: Packed): unknown {
  if (!Array.isArray(value)) return value;
  const [kind, ...rest] = value as [Packed, ...Packed[]];
  const inner = rest.map(thawed);
  switch (kind) {
    case ABSENT:
      return undefined;
    case LIST:
      return inner;
    case MAP:
      return new Map(pairs(inner));
    case SET:
      return new Set(inner);
    case FIELDS:
      return Object.fromEntries(pairs(inner) as [string, unknown][]);
    case HEADS:
      return inner.reduce<Heads>((heads, one) => heads.andThen(one as EntryHash), Heads.empty());
    default:
      throw new BadPacked("a charter was kept in another way");
  }
}

function pairs(flat: readonly unknown[]): [unknown, unknown][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]]);
}

/** Where every record up to there was folded, and each was an entry that counts. */
export async function keepCharter(session: Holding, charter: Charter, at: Position): Promise<void> {
  const packed = packedAt(charter, at);
  session.store.putFact(session.case, NAME, await withDigest(packed));
}

/** As it was kept, or undefined where that is not where the store's log of the charter ends. */
export async function loadCharter(session: Holding): Promise<Charter | undefined> {
  const packed = await whole(session.store.fact(session.case, NAME));
  if (!packed) return undefined;
  try {
    const { version, length, chain, charter } = unpack(keptShape, packed);
    const ours = session.position(session.charterStream);
    if (version !== VERSION || length !== ours.length || !same(chain, ours.chain)) return undefined;
    return new Charter(thawed(charter) as CharterFields);
  } catch (error) {
    if (error instanceof BadPacked) return undefined;
    throw error;
  }
}

/** Whether two are the same in every field. */
export function isSameCharter(one: Charter, other: Charter, at: Position): boolean {
  return same(packedAt(one, at), packedAt(other, at));
}

function packedAt(charter: Charter, { length, chain }: Position): Uint8Array {
  return pack(keptShape, { version: VERSION, length, chain, charter: frozen({ ...charter }) as Packed });
}
