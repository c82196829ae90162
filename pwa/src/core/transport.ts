/** One round trip to a relay over HTTP: mirror of core/eigenkring/transport.py. */
import { Refused, RelayMisbehaved, Unreachable } from "./errors";
import {
  CONTENT_TYPE,
  decodeReply,
  encodeRequest,
  MAX_FRAME_BYTES,
  type Operation,
  type Reply,
} from "./wire";

/** What sync needs of a relay: one exchange, one answer. */
export interface Transport {
  exchange(ops: readonly Operation[], atomic?: boolean): Promise<Reply>;
  /** The relay's clock at its newest answer; absent or null where it says none. */
  readonly relayTime?: number | null;
}

/** The relay's clock at its newest answer, in seconds since 1970; null where it says none. Nobody signed it. */
export function timeOf(transport: Transport): number | null {
  return transport.relayTime ?? null;
}

/** Another program answers at that address. */
export class NoRelayHere extends RelayMisbehaved {}

const TIMEOUT_MS = 30_000;

/** POST `/v1/exchange`. Throws Unreachable (offline, timed_out), Refused (the frame), RelayMisbehaved (relay_garbage). */
export class HttpTransport implements Transport {
  relayTime: number | null = null;
  private id = 0;

  constructor(
    private readonly relay: string,
    private readonly options: { readonly timeoutMs?: number; readonly token?: string } = {},
  ) {}

  async exchange(ops: readonly Operation[], atomic = false): Promise<Reply> {
    this.id = (this.id + 1) >>> 0;
    const request = { id: this.id, ops, atomic, token: this.options.token ?? null };
    // The timer runs until the last byte: a relay that answers one byte a minute must not hold the sync for ever.
    const signal = AbortSignal.timeout(this.options.timeoutMs ?? TIMEOUT_MS);
    let response: Response;
    let body: Uint8Array;
    try {
      response = await fetch(`${this.relay}/v1/exchange`, {
        method: "POST",
        headers: { "content-type": CONTENT_TYPE },
        body: new Uint8Array(encodeRequest(request)),
        credentials: "omit",
        redirect: "error", // a redirect would carry capabilities to another host
        referrerPolicy: "no-referrer",
        cache: "no-store",
        signal,
      });
      // A relay of another origin may not say it to a page: then there is no word of it.
      this.relayTime = secondsOf(response.headers.get("date"));
      body = await bounded(response);
    } catch (error) {
      if (error instanceof RelayMisbehaved) throw error;
      if (signal.aborted) throw new Unreachable("timed_out", "the relay did not answer in time");
      throw new Unreachable("offline", "the relay cannot be reached");
    }
    if (response.headers.get("content-type")?.split(";")[0] !== CONTENT_TYPE) {
      if (response.status === 429) throw new Refused("slow_down");
      if (response.status === 503) throw new Refused("busy");
      if (response.status === 502 || response.status === 504) {
        throw new Unreachable("offline", "no relay answers behind this address");
      }
      throw new NoRelayHere("relay_garbage", `the relay answered HTTP ${response.status}`);
    }
    return decodeReply(body, request);
  }
}

function secondsOf(date: string | null): number | null {
  const milliseconds = date === null ? Number.NaN : Date.parse(date);
  return Number.isNaN(milliseconds) ? null : Math.max(0, Math.floor(milliseconds / 1000));
}

/** The answer's bytes, and no more than a relay may send: an endless answer would fill the memory of a phone. */
async function bounded(response: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (!next || next.done) break;
    size += next.value.length;
    if (size > 4 * MAX_FRAME_BYTES) {
      await reader?.cancel();
      throw new RelayMisbehaved("relay_garbage", "the relay answered too much");
    }
    pieces.push(next.value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Touches no network. */
export class NoTransport implements Transport {
  async exchange(): Promise<Reply> {
    throw new Unreachable("offline", "this device was asked to stay offline");
  }
}
