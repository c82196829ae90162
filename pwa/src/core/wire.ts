/**
 * Frames between a device and a relay, the device's half: docs/spec/streams.md, mirror of core/eigenkring/wire.py.
 * Nothing here opens a record.
 */
import { Refused, RelayMisbehaved } from "./errors";
import type { Capability, CapabilityHash, Chain, RecordBytes, StreamId } from "./ids";
import { BadPacked, decode, encode, type Packable, type Packed } from "./packed";
import { anything, bool, bytes, choice, list, nullable, type Of, optional, struct, u32, u64 } from "./shape";

export const PROTOCOL_VERSION = 1;
export const CONTENT_TYPE = "application/msgpack";
export const MAX_RECORD_BYTES = 1_048_576;
export const MAX_EXCHANGE_OPS = 512;
export const MAX_FRAME_BYTES = 8_388_608;

const stream = bytes<StreamId>(16);
const chain = bytes<Chain>(32);
const record = bytes<RecordBytes>(undefined, 1);
const cap = bytes<Capability>(32);
const hash = bytes<CapabilityHash>(32);

// --- operations

const OPERATIONS = {
  open: struct({ stream, read: hash, append: hash, manage: hash, expires: nullable(u64) }),
  append: struct({ stream, cap, record, expect: nullable(chain) }),
  read: struct({ stream, cap, after: u64, max_bytes: u32 }),
  follow: struct({ stream, cap, after: u64, max_bytes: u32 }),
  unfollow: struct({ stream }),
  rekey: struct({
    stream,
    cap,
    read: nullable(hash),
    append: nullable(hash),
    manage: nullable(hash),
  }),
  replace: struct({ stream, cap, expect: chain, record }),
  close: struct({ stream, cap }),
};
type Operations = {
  readonly [K in keyof typeof OPERATIONS]: { readonly op: K } & Of<(typeof OPERATIONS)[K]>;
};
export type Operation = Operations[keyof Operations];
export type Open = Operations["open"];
export type Append = Operations["append"];
export type Read = Operations["read"];
export type Follow = Operations["follow"];
export type Rekey = Operations["rekey"];
export type Replace = Operations["replace"];
export type Close = Operations["close"];

// --- results

const position = struct({ length: u64, chain });
const batch = struct({
  base: u64,
  base_chain: chain,
  length: u64,
  chain,
  first: u64,
  records: list(record),
  more: bool,
});
const replaced = struct({ base: u64, length: u64, chain });
const nothing = struct({});
const failed = struct({
  code: choice(
    "not_allowed",
    "no_stream",
    "closed",
    "expired",
    "conflict",
    "exists",
    "too_large",
    "quota",
    "not_done",
    "bad_operation",
  ),
  length: optional(nullable(u64), null, true),
  chain: optional(nullable(chain), null, true),
});
const RESULTS = {
  open: position,
  append: position,
  read: batch,
  follow: batch,
  unfollow: nothing,
  rekey: position,
  replace: replaced,
  close: nothing,
};
/** `length` is the record's own index after an `append`, `chain` the running hash at it. */
export type Placed = Of<typeof position>;
export type Batch = Of<typeof batch>;
export type Replaced = Of<typeof replaced>;
/** `length` and `chain` come with `conflict` only: the stream as it is now. */
export type Failed = Of<typeof failed>;
export type ResultOf<O extends Operation> = Of<(typeof RESULTS)[O["op"]]> | Failed;
export type Result = ResultOf<Operation>;

export function isFailed(result: Result): result is Failed {
  return "code" in result;
}

// --- frames

export interface Request {
  readonly id: number;
  readonly ops: readonly Operation[];
  readonly atomic: boolean;
  readonly token: string | null;
}
export interface Reply {
  readonly id: number;
  readonly generation: number;
  readonly results: readonly Result[];
}

/** A reply whose results wait for the operations they answer: `resultsOf`. */
const answer = struct({ id: u32, generation: u64, results: list(anything) });
const pushedRecord = struct({ push: stream, index: u64, record });
const pushedEvent = struct({ push: stream, event: choice("behind", "rekeyed", "replaced", "closed") });
const failure = struct({
  id: u32,
  code: choice("bad_frame", "too_large", "busy", "slow_down", "not_admitted"),
});

export type FromRelay =
  | ({ readonly kind: "answer" } & Of<typeof answer>)
  | ({ readonly kind: "record" } & Of<typeof pushedRecord>)
  | ({ readonly kind: "event" } & Of<typeof pushedEvent>)
  | ({ readonly kind: "failure" } & Of<typeof failure>);

/** The bytes of a request, keys in the order of the specification: the same as Python's. */
export function encodeRequest(request: Request): Uint8Array {
  if (request.ops.length > MAX_EXCHANGE_OPS) throw new RangeError("too many operations in one exchange");
  const ops = request.ops.map((op) => {
    const written = OPERATIONS[op.op].write(op as never) as ReadonlyMap<string, Packable>;
    return new Map<string, Packable>([["op", op.op], ...written]);
  });
  return encode({ id: request.id, ops, atomic: request.atomic, token: request.token });
}

/** What a relay sent over the WebSocket. Raises RelayMisbehaved("relay_garbage"). */
export function decodeFromRelay(data: Uint8Array): FromRelay {
  return understood(() => {
    const frame = decode(data);
    if (!(frame instanceof Map)) throw new BadPacked("no map");
    if (frame.has("push")) {
      return frame.get("event") === "record"
        ? { kind: "record", ...pushedRecord.read(frame) }
        : { kind: "event", ...pushedEvent.read(frame) };
    }
    if (frame.has("code")) return { kind: "failure", ...failure.read(frame) };
    return { kind: "answer", ...answer.read(frame) };
  }, "the relay sent no frame");
}

/** The results of an answer to `ops`. Raises RelayMisbehaved when it answers something else. */
export function resultsOf(results: readonly Packed[], ops: readonly Operation[]): Result[] {
  if (results.length !== ops.length) {
    throw new RelayMisbehaved("relay_garbage", "the relay answered another number of operations");
  }
  return ops.map((op, at) =>
    understood(() => {
      const result = results[at] as Packed;
      const refused = result instanceof Map && result.has("code");
      return refused ? failed.read(result) : RESULTS[op.op].read(result);
    }, "the relay answered another operation"),
  );
}

/** The reply to one request, as POST gives it. Raises Refused (the frame's code) or RelayMisbehaved. */
export function decodeReply(data: Uint8Array, request: Request): Reply {
  const frame = decodeFromRelay(data);
  if (frame.kind === "failure") throw new Refused(frame.code);
  if (frame.kind !== "answer" || frame.id !== request.id) {
    throw new RelayMisbehaved("relay_garbage", "the relay answered another frame");
  }
  return { id: frame.id, generation: frame.generation, results: resultsOf(frame.results, request.ops) };
}

function understood<T>(read: () => T, otherwise: string): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BadPacked) throw new RelayMisbehaved("relay_garbage", otherwise);
    throw error;
  }
}
