/**
 * What a relay can answer instead of the truth, for the tests: the lies of tests/simulator.py, told over the real wire. The
 * liar sees what a relay sees, frames and all that ever lay in a stream, and holds nothing of the family.
 */
import { Unreachable } from "../src/core/errors";
import { type Hex, hex, type RecordBytes } from "../src/core/ids";
import { decode, encode, type Packable, type PackedMap } from "../src/core/packed";
import { CONTENT_TYPE, decodeReply, encodeRequest, type Operation, type Request } from "../src/core/wire";
import { extend, first } from "../src/crypto/chain";
import type { Exchange } from "./phone";

type Answer = Map<string, Packable>;
/** Gives the bytes of an answer. */
export type Lie = (liar: Liar, request: Request) => Promise<Uint8Array>;

/** Between one device and its relay. Chance has a seed, so that what was found is found again. */
export class Liar {
  told = 0;
  private id = 0;
  private readonly kept: Uint8Array[] = [];
  /** Where a stream ended, when it was read last. */
  readonly heads = new Map<Hex, Answer>();
  private readonly hoard = new Map<Hex, RecordBytes[]>();

  constructor(
    private readonly address: string,
    private readonly lie: Lie,
    private readonly often: number,
    private state: number,
  ) {}

  /** For `Phone.switch.lie`. */
  readonly between =
    (_: Exchange): Exchange =>
    async (ops, atomic = false) => {
      this.id += 1;
      const request = { id: this.id, ops, atomic, token: null };
      const lies = this.roll(1000) < this.often * 1000;
      if (lies) this.told += 1;
      const answer = await (lies ? this.lie(this, request) : this.truth(request));
      this.kept.push(answer);
      return decodeReply(answer, request);
    };

  roll(sides: number): number {
    this.state = (this.state * 1103515245 + 12345) % 2147483648;
    return Math.floor((this.state / 2147483648) * sides);
  }

  oneOf(numbers: readonly number[]): number {
    return numbers[this.roll(numbers.length)] as number;
  }

  noise(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.roll(256));
  }

  /** What the relay says. */
  async truth(request: Request): Promise<Uint8Array> {
    const response = await fetch(`${this.address}/v1/exchange`, {
      method: "POST",
      headers: { "content-type": CONTENT_TYPE },
      body: new Uint8Array(encodeRequest(request)),
    });
    const answer = new Uint8Array(await response.arrayBuffer());
    for (const [at, result] of resultsIn(answer).entries()) {
      const op = request.ops[at];
      if (!op || !result.has("records")) continue;
      this.hoard.set(hex(op.stream), recordsOf(result));
      this.heads.set(
        hex(op.stream),
        new Map([
          ["length", numberOf(result, "length")],
          ["chain", bytesOf(result, "chain")],
        ] as [string, Packable][]),
      );
    }
    return answer;
  }

  /** The truth with the answers of some operations changed. */
  async changed(request: Request, change: (result: Answer, op: Operation) => Answer): Promise<Uint8Array> {
    const answer = await this.truth(request);
    const frame = new Map(decode(answer) as PackedMap) as Answer;
    if (!frame.has("results")) return answer;
    const results = resultsIn(answer).map((result, at) => change(result, request.ops[at] as Operation));
    return encode(frame.set("results", results));
  }

  /** Records that lie in another stream. */
  elsewhere(stream: Uint8Array): RecordBytes[] {
    const others = [...this.hoard].filter(([id]) => id !== hex(stream));
    return others.flatMap(([, records]) => records).slice(-2);
  }

  older(): Uint8Array | undefined {
    return this.kept[this.roll(this.kept.length)];
  }
}

function resultsIn(answer: Uint8Array): Answer[] {
  const results = (decode(answer) as PackedMap).get("results") as PackedMap[] | undefined;
  return (results ?? []).map((result) => new Map(result) as Answer);
}

const recordsOf = (result: Answer) => result.get("records") as RecordBytes[];
const numberOf = (result: Answer, name: string) => result.get(name) as number;
const bytesOf = (result: Answer, name: string) => result.get(name) as Uint8Array;
const withThese = (result: Answer, other: Record<string, Packable>): Answer =>
  new Map([...result, ...Object.entries(other)]);

/** A lie about what was read, told about every stream. */
function aboutReads(change: (liar: Liar, batch: Answer, op: Operation) => Answer): Lie {
  return (liar, request) =>
    liar.changed(request, (result, op) => (result.has("records") ? change(liar, result, op) : result));
}

/** More records than there are, with the chain they lead to: a log that is consistent for this one reader. */
function longer(batch: Answer, records: readonly Uint8Array[]): Answer {
  let chain = bytesOf(batch, "chain");
  for (const record of records) chain = extend(chain, record);
  const all = [...recordsOf(batch), ...records];
  return withThese(batch, { records: all, length: numberOf(batch, "length") + records.length, chain });
}

const refusing =
  (code: string): Lie =>
  async (_, { id, ops }) =>
    encode({ id, generation: 1, results: ops.map(() => ({ code, length: null, chain: null })) });

const failing =
  (code: string): Lie =>
  async (_, { id }) =>
    encode({ id, code });

const hang = () => new Unreachable("timed_out", "no answer in time");

export const LIES: Readonly<Record<string, Lie>> = {
  drop: aboutReads((_, batch) => withThese(batch, { records: recordsOf(batch).slice(1) })),
  truncate: aboutReads((_, batch) => withThese(batch, { records: recordsOf(batch).slice(0, -1) })),
  reorder: aboutReads((_, batch) => withThese(batch, { records: recordsOf(batch).reverse() })),
  twice: aboutReads((_, batch) => {
    const records = recordsOf(batch);
    return withThese(batch, {
      records: [...records, ...records.slice(-1)],
      length: numberOf(batch, "length") + (records.length ? 1 : 0),
    });
  }),
  // "All you know was replaced by something that I do not show": nobody signed that.
  jump: aboutReads((liar, batch) => {
    const base = numberOf(batch, "length") + liar.oneOf([1, 3, 10 ** 6]);
    const chain = liar.noise(32);
    return withThese(batch, { base, base_chain: chain, length: base, chain, first: base + 1, records: [] });
  }),
  jump_with_noise: aboutReads((liar, batch) => {
    const base = numberOf(batch, "length") + 2;
    const [there, record] = [liar.noise(32), liar.noise(400)];
    const chain = extend(there, record);
    const rest = { length: base + 1, chain, first: base + 1, records: [record], more: false };
    return withThese(batch, { base, base_chain: there, ...rest });
  }),
  injected: aboutReads((liar, batch) => (batch.get("more") ? batch : longer(batch, [liar.noise(400)]))),
  shorter: aboutReads((_, batch) => withThese(batch, { base: 0, length: 0, first: 1, records: [] })),
  more_without_end: aboutReads((_, batch) =>
    withThese(batch, { records: [], more: true, length: numberOf(batch, "length") + 5 }),
  ),
  other_head: aboutReads((liar, batch) => withThese(batch, { chain: liar.noise(32) })),
  flipped_in_record: aboutReads((liar, batch) => {
    const records = recordsOf(batch).map((record) => record.slice());
    const record = records[liar.roll(records.length)];
    if (record) flip(liar, record);
    return withThese(batch, { records });
  }),
  swapped: aboutReads((liar, batch, { stream }) =>
    batch.get("more") ? batch : longer(batch, liar.elsewhere(stream)),
  ),
  flipped: async (liar, request) => {
    const answer = (await liar.truth(request)).slice();
    flip(liar, answer);
    return answer;
  },
  garbage: async (liar) => liar.noise(1 + liar.roll(300)),
  // An older answer under the present number.
  replayed: async (liar, request) => {
    const old = liar.older();
    if (!old) return liar.truth(request);
    return encode(withThese(new Map(decode(old) as PackedMap) as Answer, { id: request.id }));
  },
  // It is done, and the answer does not come.
  late: async (liar, request) => {
    await liar.truth(request);
    throw hang();
  },
  hanging: async () => {
    throw hang();
  },
  new_generation: (liar, request) => inGeneration(liar, request, liar.oneOf([2, 9, 2 ** 40])),
  old_generation: (liar, request) => inGeneration(liar, request, 0),
  // Says that it took what was appended, and throws it away.
  pretending: async (liar, { ops, ...request }) => {
    const reads = ops.filter(({ op }) => op === "read");
    const truth = resultsIn(await liar.truth({ ...request, ops: reads }));
    const results = ops.map(({ op, stream }): Packable => {
      if (op === "read") return truth.shift() as Answer;
      if (op === "append") return { length: 10 ** 6, chain: liar.noise(32) };
      if (op === "open") return { length: 0, chain: first(stream) };
      if (op === "rekey") return { length: 0, chain: new Uint8Array(32) };
      return op === "replace" ? { base: 0, length: 1, chain: new Uint8Array(32) } : {};
    });
    return encode({ id: request.id, generation: 1, results });
  },
  // Throws away what was appended, and says that it lies where another record lies: a place the device knows.
  old_receipt: async (liar, { ops, ...request }) => {
    if (request.atomic) return liar.truth({ ops, ...request });
    const rest = ops.filter(({ op }) => op !== "append");
    const truth = resultsIn(await liar.truth({ ...request, ops: rest }));
    const results = ops.map((op): Packable => {
      const result = op.op === "append" ? liar.heads.get(hex(op.stream)) : truth.shift();
      return result ?? { length: 0, chain: first(op.stream) };
    });
    return encode({ id: request.id, generation: 1, results });
  },
  refusing_not_allowed: refusing("not_allowed"),
  refusing_closed: refusing("closed"),
  refusing_expired: refusing("expired"),
  refusing_no_stream: refusing("no_stream"),
  refusing_conflict: refusing("conflict"),
  refusing_quota: refusing("quota"),
  failing_busy: failing("busy"),
  failing_bad_frame: failing("bad_frame"),
  failing_not_admitted: failing("not_admitted"),
};

function flip(liar: Liar, bytes: Uint8Array): void {
  const at = liar.roll(bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << liar.roll(8));
}

async function inGeneration(liar: Liar, request: Request, generation: number): Promise<Uint8Array> {
  const frame = new Map(decode(await liar.truth(request)) as PackedMap) as Answer;
  return encode(frame.set("generation", generation));
}
