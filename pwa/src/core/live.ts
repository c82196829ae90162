/**
 * Staying connected: one WebSocket for one case, or for one view that is read. It hands on each record as it comes, carries
 * what this device has to say, and rings where a sync must look. Spec: docs/spec/streams.md (follow).
 *
 * Nothing is judged here, and nothing is believed that was pushed: the session takes a record in only at the place after the
 * last one it has, by the rules of every record, and each sync compares the whole with what the relay shows. So a relay that
 * pushes lies, or nothing, gains what it gains by answering a read so. A connection that does not come about costs no more
 * than waiting for the next sync. Frames are those of `/v1/exchange`, byte for byte.
 */
import { Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type Capability, type Hex, hex, type RecordBytes, type StreamId, same } from "./ids";
import type { Transport } from "./transport";
import {
  type Batch,
  decodeFromRelay,
  encodeRequest,
  type Follow,
  type FromRelay,
  isFailed,
  type Operation,
  type Reply,
  resultsOf,
} from "./wire";

/** A stream to hear of: its read capability, and how much of it is known here. */
export interface Heard {
  readonly stream: StreamId;
  readonly cap: Capability;
  readonly length: number;
}

/** What this module needs of a WebSocket. */
export interface Socket {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** A connection that held so long was no failure: the next one is tried at once. */
const HELD_MS = 30_000;
const OPS_IN_ONE_FRAME = 512;
/** The first record rings at once, those that come just after it together. */
const RING_AGAIN_AFTER_MS = 120;
/** Only whether there is more: what there is, the sync reads. */
const FEWEST_BYTES = 1;
/** No answer for so long: the connection is a dead one, whatever it says of itself. */
const ANSWER_MS = 5_000;
const UNREAD_MS = 100;

export interface Hearing {
  readonly relay: string;
  /** What this device may read now. */
  readonly streams: () => Promise<readonly Heard[]>;
  /** How long a stream is here now. */
  readonly known: (stream: StreamId) => number;
  /** A record that is not here yet came. Where nobody takes records in, it rings. */
  readonly record?: (stream: StreamId, index: number, record: RecordBytes) => void;
  /** Something came: a sync must look. */
  readonly ring: () => void;
  readonly connect?: (address: string) => Socket;
}

/** Somebody waits for the answer to these. */
interface Said {
  readonly ops: readonly Operation[];
  readonly done: (reply: Reply) => void;
  readonly failed: (because: Error) => void;
}

export class Live implements Transport {
  private socket: Socket | undefined;
  private isOpen = false;
  private hasOpened = false;
  private ended = false;
  private openedAt = 0;
  private failures = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ringing: ReturnType<typeof setTimeout> | undefined;
  private rungAt = 0;
  private nextId = 0;
  private readonly following = new Map<Hex, Capability>();
  private readonly asked = new Map<number, readonly Follow[]>();
  private readonly said = new Map<number, Said>();

  constructor(private readonly of: Hearing) {
    this.begin();
  }

  /** Whether news would be heard now. */
  get isHearing(): boolean {
    return this.isOpen && this.asked.size === 0;
  }

  /** Whether something can be said now. */
  get isUp(): boolean {
    return this.isOpen;
  }

  /** After a sync: streams and keys may be other ones. */
  async adjust(): Promise<void> {
    if (!this.isOpen) return;
    const wanted = await this.of.streams();
    const { socket } = this;
    if (!socket || !this.isOpen) return;
    const names = new Set(wanted.map(({ stream }) => hex(stream)));
    for (const stream of [...this.following.keys()]) if (!names.has(stream)) this.following.delete(stream);
    const ops: Follow[] = [];
    for (const { stream, cap, length } of wanted) {
      const now = this.following.get(hex(stream));
      if (now && same(now, cap)) continue;
      this.following.set(hex(stream), cap);
      ops.push({ op: "follow", stream, cap, after: length, max_bytes: FEWEST_BYTES });
    }
    for (let at = 0; at < ops.length; at += OPS_IN_ONE_FRAME) {
      const some = ops.slice(at, at + OPS_IN_ONE_FRAME);
      this.asked.set(this.send(socket, some), some);
    }
  }

  /** As by POST, without the way of a request of its own. Throws Unreachable, Refused (the frame), RelayMisbehaved. */
  async exchange(ops: readonly Operation[], atomic = false): Promise<Reply> {
    const { socket } = this;
    if (!socket || !this.isOpen) throw new Unreachable("offline", "there is no connection now");
    const id = this.send(socket, ops, atomic);
    const giveUp = (): void => {
      this.said.get(id)?.failed(new Unreachable("timed_out", "the relay did not answer in time"));
      if (this.socket === socket) this.hangUp();
    };
    let late = setTimeout(() => {
      // Where this device itself was busy for so long, the answer lies here unread: it is taken in before this is asked again.
      late = setTimeout(giveUp, UNREAD_MS);
    }, ANSWER_MS);
    try {
      return await new Promise<Reply>((done, failed) => this.said.set(id, { ops, done, failed }));
    } finally {
      clearTimeout(late);
      this.said.delete(id);
    }
  }

  private send(socket: Socket, ops: readonly Operation[], atomic = false): number {
    this.nextId = (this.nextId + 1) >>> 0;
    socket.send(new Uint8Array(encodeRequest({ id: this.nextId, ops, atomic, token: null })));
    return this.nextId;
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.retry);
    clearTimeout(this.ringing);
    const { socket } = this;
    this.drop();
    socket?.close();
  }

  // --- the connection

  private begin(): void {
    const address = `${this.of.relay.replace(/^http/, "ws")}/v1/sync`;
    let socket: Socket;
    try {
      socket = (this.of.connect ?? webSocket)(address);
    } catch {
      this.again();
      return;
    }
    this.socket = socket;
    const isMine = (): boolean => this.socket === socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (!isMine()) return;
      this.isOpen = true;
      this.openedAt = Date.now();
      // What waited while it was away, and what was missed.
      if (this.hasOpened) this.ringSoon();
      this.hasOpened = true;
      void this.adjust().catch(() => this.hangUp());
    };
    socket.onmessage = ({ data }) => {
      if (isMine()) this.hear(data);
    };
    const lost = (): void => {
      if (isMine()) this.hangUp();
    };
    socket.onclose = lost;
    // Not every engine says `close` of a connection that never came about.
    socket.onerror = lost;
  }

  private drop(): void {
    this.socket = undefined;
    this.isOpen = false;
    this.following.clear();
    this.asked.clear();
    for (const { failed } of this.said.values()) failed(new Unreachable("offline", "the connection ended"));
    this.said.clear();
  }

  private hangUp(): void {
    const { socket } = this;
    this.drop();
    socket?.close();
    this.again();
  }

  /** Later and later, and not all devices of a family at once: a relay that comes up again is not run over. */
  private again(): void {
    if (this.ended) return;
    const hasHeld = this.openedAt > 0 && Date.now() - this.openedAt > HELD_MS;
    this.failures = hasHeld ? 0 : this.failures + 1;
    this.openedAt = 0;
    const longest = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS);
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.begin(), longest * (0.5 + Math.random() / 2));
  }

  // --- what comes

  private hear(data: unknown): void {
    try {
      if (!(data instanceof ArrayBuffer)) throw new RelayMisbehaved("relay_garbage", "no bytes");
      const frame = decodeFromRelay(new Uint8Array(data));
      switch (frame.kind) {
        case "record":
          if (this.of.record) this.of.record(frame.push, frame.index, frame.record);
          else if (frame.index > this.of.known(frame.push)) this.ringSoon();
          return;
        case "event":
          // `replaced` goes on by itself; after the others the stream is followed anew, when a sync has looked.
          if (frame.event !== "replaced") this.following.delete(hex(frame.push));
          this.ringSoon();
          return;
        case "answer":
          this.answered(frame);
          return;
        case "failure": {
          const said = this.said.get(frame.id);
          if (!said) throw new RelayMisbehaved("relay_garbage", "a frame was refused");
          said.failed(new Refused(frame.code));
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof RelayMisbehaved)) throw error;
      this.hangUp();
    }
  }

  private answered({ id, generation, results }: FromRelay & { kind: "answer" }): void {
    const said = this.said.get(id);
    if (said) {
      try {
        said.done({ id, generation, results: resultsOf(results, said.ops) });
      } catch (error) {
        if (error instanceof RelayMisbehaved) said.failed(error);
        throw error;
      }
      return;
    }
    const ops = this.asked.get(id);
    if (!ops) throw new RelayMisbehaved("relay_garbage", "an answer to nothing");
    this.asked.delete(id);
    const found = resultsOf(results, ops);
    ops.forEach(({ stream, after }, at) => {
      const result = found[at];
      if (!result || isFailed(result)) {
        // A lock that was turned, a stream that is over, or a door that is not open yet: asked again after the next sync.
        this.following.delete(hex(stream));
        return;
      }
      if ((result as Batch).length > Math.max(after, this.of.known(stream))) this.ringSoon();
    });
  }

  /** A sync is wanted: the first wish at once, those just after it together. */
  ringSoon(): void {
    if (this.ringing !== undefined) return;
    const wait = this.rungAt + RING_AGAIN_AFTER_MS - Date.now();
    const ring = (): void => {
      this.ringing = undefined;
      this.rungAt = Date.now();
      this.of.ring();
    };
    // A clock that was put back must not make anybody wait.
    if (wait <= 0 || wait > RING_AGAIN_AFTER_MS) ring();
    else this.ringing = setTimeout(ring, wait);
  }
}

function webSocket(address: string): Socket {
  return new WebSocket(address) as unknown as Socket;
}
