/**
 * Records of this device that no longer open: bits rotted, or somebody wrote into the browser's files. They are read anew
 * from the relay, before anything stands on what is left.
 *
 * How far each log went, and its running hash there, lies elsewhere in the store. So the relay's word is not enough: what it
 * shows must lead to that very hash, or nothing is taken (`../../../docs/decisions/torn-records.md`).
 */

import { EigenkringError, Misuse, RelayMisbehaved } from "../core/errors";
import { type Capability, type Chain, type Hex, named, type StreamId, same, unhex } from "../core/ids";
import type { StoredCase, StoredSecret } from "../core/store";
import { accept, type PlacedRecord, type Position, startOf } from "../core/stream";
import type { Transport } from "../core/transport";
import { isFailed, MAX_FRAME_BYTES, type Read } from "../core/wire";
import { readCapability, readSecret } from "../crypto/capability";
import type { KeptRecord } from "./memory-store";

const KEYS_AT_ONCE = 16;
const MAX_READS = 256;

/** How far a log went, by where its position lies: an owner, which is a case or a view, and a stream. */
export interface LogEnd {
  readonly owner: Hex;
  readonly stream: Hex;
  readonly position: Position;
}

/** A log as it is to lie here: whole again, or (null) as if it had never been read. */
export interface Mended extends LogEnd {
  readonly records: readonly KeptRecord[] | null;
}

/** What the store knows of one case. */
export interface Known {
  readonly row: StoredCase;
  readonly secrets: readonly StoredSecret[];
}

/** The logs of which a record is missing, or the chain before the first. `has`: whether a row opened. */
export function tornLogs(
  ends: readonly LogEnd[],
  at: (end: LogEnd, index: number) => KeptRecord | undefined,
): LogEnd[] {
  return ends.filter((end) => {
    const { base, length } = end.position;
    if (base > 0 && !at(end, base)) return true;
    for (let index = base + 1; index <= length; index++) if (!at(end, index)?.record) return true;
    return false;
  });
}

/**
 * Reads these logs anew. Throws Misuse `no_home` where one cannot be had now, or the relay shows another one: then all of
 * it stays as it lies. What is nobody's but a reader's, a door's or a photo's is forgotten, for whoever needs it reads it whole.
 */
export async function readAnew(
  torn: readonly LogEnd[],
  cases: ReadonlyMap<Hex, Known>,
  transportTo: (relay: string) => Transport,
): Promise<Mended[]> {
  const found: Mended[] = [];
  for (const end of torn) {
    const known = cases.get(end.owner);
    const whole = known && (await ofCase(end, known, transportTo(known.row.relay)));
    found.push({ ...end, ...(whole ?? { records: null }) });
  }
  return found;
}

type Whole = Pick<Mended, "position" | "records">;

async function ofCase(end: LogEnd, known: Known, transport: Transport): Promise<Whole | undefined> {
  const stream = unhex<StreamId>(end.stream);
  const isCharter = end.stream === end.owner;
  const isKeys = known.row.keysStream !== null && same(known.row.keysStream, stream);
  try {
    const caps = isKeys ? keysCaps(stream, known) : roomCaps(stream, known);
    const shown = await readWhole(stream, caps, transport);
    if (shown === "shut" && !isCharter && !isKeys) return undefined;
    if (shown === "shut") throw stays();
    const records = leadsThere(end.position, shown);
    if (records) return { position: end.position, records };
    // A snapshot took its place since: taken as by somebody who comes new. Of these two nothing is ever replaced.
    if (isCharter || isKeys || shown.position.base <= end.position.base) throw stays();
    const base: KeptRecord = { index: shown.position.base, record: null, chain: shown.baseChain };
    return { position: shown.position, records: [base, ...shown.placed] };
  } catch (error) {
    if (error instanceof Misuse || !(error instanceof EigenkringError)) throw error;
    throw stays();
  }
}

interface Shown {
  readonly position: Position;
  readonly baseChain: Chain;
  readonly placed: readonly PlacedRecord[];
}

/** What is shown, as far as it was read here before: undefined where it does not lead to what was known. */
function leadsThere({ base, length, chain }: Position, shown: Shown): KeptRecord[] | undefined {
  if (shown.position.base > base) return undefined;
  const chainAt = (index: number): Chain | undefined =>
    index === shown.position.base ? shown.baseChain : shown.placed.find((one) => one.index === index)?.chain;
  const there = chainAt(length);
  if (!there || !same(there, chain)) return undefined;
  const before = base > 0 ? chainAt(base) : undefined;
  const first: KeptRecord[] = before ? [{ index: base, record: null, chain: before }] : [];
  return [...first, ...shown.placed.filter(({ index }) => index > base && index <= length)];
}

function keysCaps(stream: StreamId, { row }: Known): Capability[] {
  return row.keysSecret ? [named(readCapability(row.keysSecret, stream, 0))] : [];
}

/** Of every room this device holds, the newest locks first: which one it is says the charter, which may be what is torn. */
function roomCaps(stream: StreamId, { secrets }: Known): Capability[] {
  return [...secrets]
    .sort((a, b) => b.epoch - a.epoch)
    .map(({ epoch, secret }) => named(readCapability(readSecret(secret, stream), stream, epoch)));
}

/** From its beginning, with the first key that opens; `shut` where none does, or it is not there any more. */
async function readWhole(
  stream: StreamId,
  caps: readonly Capability[],
  transport: Transport,
): Promise<Shown | "shut"> {
  let left = [...caps];
  let cap: Capability | undefined;
  let position = startOf(stream);
  let baseChain = position.chain;
  let placed: PlacedRecord[] = [];
  for (let round = 0; round < MAX_READS; round++) {
    const tried = cap ? [cap] : left.slice(0, KEYS_AT_ONCE);
    if (tried.length === 0) return "shut";
    const reads = tried.map(
      (one): Read => ({ op: "read", stream, cap: one, after: position.length, max_bytes: MAX_FRAME_BYTES }),
    );
    const { results } = await transport.exchange(reads);
    const at = results.findIndex((result) => !isFailed(result));
    if (at < 0) {
      if (cap) return "shut";
      left = left.slice(KEYS_AT_ONCE);
      continue;
    }
    cap = tried[at];
    const batch = results[at];
    if (!batch || !("records" in batch)) {
      throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
    }
    const accepted = accept(position, batch, () => undefined);
    if (accepted.replaced) {
      placed = [];
      baseChain = batch.base_chain;
    }
    ({ position } = accepted);
    placed.push(...accepted.placed);
    if (!accepted.more) return { position, baseChain, placed };
    if (accepted.placed.length === 0) break;
  }
  throw new RelayMisbehaved("relay_garbage", "the relay promises more and gives nothing");
}

/** Nothing was taken, and nothing is gone. */
export function stays(): Misuse {
  return new Misuse("no_home", "a record on this device is damaged, and could not be read anew now");
}
