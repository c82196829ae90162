/**
 * A reader's streams, followed from one refresh to the next, with the same checks a device of the circle makes: mirror of
 * core/eigenkring/following.py.
 *
 * What a reader has seen stays the measure. A relay that later shows less, or something else, is told (`rolled_back`,
 * `forked`), also when it was honestly put back from a copy; then the stream is read whole, and what is signed decides.
 */
import { Ended, RelayMisbehaved } from "./errors";
import type { CaseId, Chain } from "./ids";
import type { Clock } from "./session/case";
import { pack, u64, unpack } from "./shape";
import type { Store } from "./store";
import { accept, type PlacedRecord, type Position, readCap, type StreamSecrets, startOf } from "./stream";
import type { Transport } from "./transport";
import { isFailed, MAX_FRAME_BYTES } from "./wire";

const MAX_READS = 64;

/** Whose stream it is, and with whom to speak of it. */
export interface Reading {
  readonly store: Store;
  readonly owner: CaseId;
  readonly transport: Transport;
  readonly clock: Clock;
}

/** What a read brought: `placed` are the records that are new, or all of them where `whole`. */
export class Followed {
  constructor(
    readonly store: Store,
    readonly owner: CaseId,
    readonly secrets: StreamSecrets,
    readonly position: Position,
    private readonly baseChain: Chain,
    readonly placed: readonly PlacedRecord[],
    readonly whole: boolean,
  ) {}

  /** The chain just before one of these records. */
  before(placed: PlacedRecord): Chain | undefined {
    if (placed.index - 1 === this.position.base) return this.baseChain;
    const other = this.placed.find(({ index }) => index === placed.index - 1);
    return other?.chain ?? this.store.chainAt(this.owner, this.secrets.stream, placed.index - 1);
  }

  /** Makes this the measure of the next read. Called when what was read has been judged, in the same step. */
  keep(): void {
    const { stream } = this.secrets;
    if (this.whole) {
      this.store.replaceRecords(this.owner, stream, this.position, this.baseChain, this.placed);
    } else if (this.placed.length > 0) {
      this.store.putRecords(this.owner, stream, this.position, this.placed);
    }
  }
}

/**
 * Reads on where this reader was; undefined where the lock was turned and its key has not come.
 *
 * Throws Unreachable, Ended (the stream is closed), RelayMisbehaved (also the whole stream does not hold).
 */
export async function follow(
  reading: Reading,
  secrets: StreamSecrets,
  about: string,
): Promise<Followed | undefined> {
  const { store, owner, clock } = reading;
  const known = store.position(owner, secrets.stream);
  const start = startOf(secrets.stream);
  try {
    return await readOn(reading, secrets, known ?? start, known === undefined);
  } catch (error) {
    if (!(error instanceof RelayMisbehaved)) throw error;
    store.putAlarm(owner, { code: error.code, about, at: clock() });
    if (!known) throw error;
    return readOn(reading, secrets, start, true);
  }
}

async function readOn(
  reading: Reading,
  secrets: StreamSecrets,
  start: Position,
  whole: boolean,
): Promise<Followed | undefined> {
  const { store, owner, transport } = reading;
  const { stream } = secrets;
  const cap = readCap(secrets);
  if (!cap) throw new Error("a reader without a read secret");
  const chainAt = (index: number): Chain | undefined =>
    whole ? undefined : store.chainAt(owner, stream, index);
  let position = start;
  let baseChain = start.chain;
  let placed: PlacedRecord[] = [];
  for (let round = 0; round < MAX_READS; round++) {
    const read = { op: "read", stream, cap, after: position.length, max_bytes: MAX_FRAME_BYTES } as const;
    const { results, generation } = await transport.exchange([read]);
    checkGeneration(reading, generation);
    const [result] = results;
    if (!result) throw new RelayMisbehaved("relay_garbage", "an answer is missing");
    if (isFailed(result)) {
      if (["closed", "expired", "no_stream"].includes(result.code)) {
        throw new Ended("withdrawn", "the family stopped access");
      }
      return undefined;
    }
    if (!("records" in result)) {
      throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
    }
    const accepted = accept(position, result, chainAt);
    if (accepted.replaced) {
      placed = [];
      baseChain = result.base_chain;
    }
    ({ position } = accepted);
    placed.push(...accepted.placed);
    if (!accepted.more) return new Followed(store, owner, secrets, position, baseChain, placed, whole);
    if (accepted.placed.length === 0) break;
  }
  throw new RelayMisbehaved("relay_garbage", "the relay promises more and gives nothing");
}

/** A relay put back from a copy says so; the reader is told, and what is signed counts as before. */
function checkGeneration({ store, owner, clock }: Reading, generation: number): void {
  const packed = store.fact(owner, "generation");
  const known = packed ? unpack(u64, packed) : undefined;
  if (known === generation) return;
  store.putFact(owner, "generation", pack(u64, generation));
  if (known === undefined) return;
  const code = generation > known ? "new_generation" : "rolled_back";
  store.putAlarm(owner, { code, about: "relay", at: clock() });
}
