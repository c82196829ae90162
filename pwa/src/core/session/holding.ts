/**
 * Who this device is in one case, and the secrets it holds: the first half of core/eigenkring/session/case.py. Loaded from
 * the store; every change goes to the store first.
 *
 * The engine, the clock and randomness are arguments. Whatever changes a case runs `inTurn`, one after the other, because
 * WebCrypto makes every step wait somewhere; the network is never waited for inside a turn, so that a person can write
 * while a sync hangs.
 */
import { manageSecret, readSecret, writeSecret } from "../../crypto/capability";
import type { SessionKeys } from "../../crypto/device";
import { derive } from "../../crypto/kdf";
import { recordEpoch } from "../../crypto/seal";
import type { Charter } from "../charter/state";
import type { DocumentEngine } from "../document";
import { Misuse } from "../errors";
import {
  type CaseId,
  type DeviceId,
  type Hex,
  hex,
  type PersonId,
  type RoomSecret,
  type StreamId,
  same,
} from "../ids";
import { EVERYONE, Keyring, OWNERS } from "../rooms";
import type { Schema } from "../schema";
import { bytes, list, pack, text, tuple, u32, unpack } from "../shape";
import type { Store, StoredCase, StoredSecret } from "../store";
import { openRecord, type Position, type Secret, type StreamSecrets, startOf } from "../stream";
import type { SecretsByEpoch } from "./reading";

export type Random = (size: number) => Uint8Array;
/** Seconds since 1970. */
export type Clock = () => number;

/** What a session is given, so that it needs no I/O of its own. */
export interface Surroundings {
  readonly schema: Schema;
  /** An empty document of this actor. */
  readonly newEngine: (actor: Uint8Array) => DocumentEngine;
  /** Of what was saved on this device, for an actor; absent: nothing is kept. */
  readonly loadEngine?: (saved: Uint8Array, actor: Uint8Array) => DocumentEngine;
  /** Awaited before the first document: what was kept is shown without an engine. */
  readonly engineReady: () => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
}

const secretsShape = list(tuple(text, u32, bytes<RoomSecret>(32)));
/** Secrets kept for one epoch of a room until the charter says which is right: nobody may push out the true one. */
const KEPT_OF_ONE_EPOCH = 8;

interface Grown {
  readonly from: readonly (Secret | undefined)[];
  readonly secrets: StreamSecrets;
}

function isSame(a: Secret | undefined, b: Secret | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.epoch === b.epoch && same(a.secret, b.secret));
}

/** Who this device is in one case, and the secrets it holds. `charter` is undefined until the first keys arrived. */
export class Holding {
  readonly ring: Keyring;
  charter: Charter | undefined;
  /** From keybags that the charter has not confirmed yet: good for reading the charter, for nothing else. */
  protected unconfirmed: StoredSecret[] = [];
  private turn: Promise<unknown> = Promise.resolve();
  /** What was grown for a stream, and from which room secrets: they turn seldom, and every word asks for them. */
  private readonly grown = new Map<Hex, Grown>();

  protected constructor(
    readonly store: Store,
    public row: StoredCase,
    readonly around: Surroundings,
    readonly keys: SessionKeys,
  ) {
    this.ring = new Keyring(row.keysSecret ?? undefined);
    for (const { room, epoch, secret } of store.roomSecrets(row.case)) this.ring.add(room, epoch, secret);
    const packed = store.fact(row.case, "unconfirmed");
    for (const [room, epoch, secret] of packed ? unpack(secretsShape, packed) : []) {
      this.unconfirmed.push({ room, epoch, secret });
    }
  }

  /** Runs `work` when all work before it is done. Not inside itself: it would wait for itself for ever. */
  inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  // --- who and where

  get case(): CaseId {
    return this.row.case;
  }

  get charterStream(): StreamId {
    return this.row.case;
  }

  /** The charter. Throws `not_yet` while nobody has let this device in. */
  known(): Charter {
    if (!this.charter) throw notYet();
    return this.charter;
  }

  me(): PersonId {
    if (!this.row.person) throw notYet();
    return this.row.person;
  }

  device(): DeviceId {
    if (!this.row.device) throw new Error("a case without a device id");
    return this.row.device;
  }

  putRow(changes: Partial<StoredCase>): void {
    this.row = { ...this.row, ...changes };
    this.store.putCase(this.row);
  }

  position(stream: StreamId): Position {
    return this.store.position(this.case, stream) ?? startOf(stream);
  }

  alarm(code: string, about: string): void {
    this.store.putAlarm(this.case, { code, about, at: this.around.clock() });
  }

  // --- secrets

  /** The present secret of a room, where this device holds it. */
  roomSecret(room: string): Secret | undefined {
    const known = this.charter?.rooms.get(room);
    if (!known) return this.ring.newest(room);
    const secret = this.ring.secret(room, known.epoch);
    return secret && { epoch: known.epoch, secret };
  }

  /** What this device can do with a stream of the case now. */
  secrets(stream: StreamId): StreamSecrets {
    const { keysStream, keysSecret } = this.row;
    const of = (room: string) => this.roomSecret(room);
    if (keysStream && same(stream, keysStream)) {
      const read = keysSecret ? { secret: keysSecret, epoch: 0 } : undefined;
      return { ...secretsFrom(stream, [undefined, EVERYONE, OWNERS], of), read };
    }
    const rooms = this.known().streamRooms(stream);
    if (!rooms) return { stream };
    const held = [rooms.read, rooms.write, rooms.manage].map((room) =>
      room === undefined ? undefined : of(room),
    );
    const id = hex(stream);
    const last = this.grown.get(id);
    if (last?.from.every((before, at) => isSame(before, held[at]))) return last.secrets;
    const secrets = secretsFrom(stream, [rooms.read, rooms.write, rooms.manage], of);
    this.grown.set(id, { from: held, secrets });
    return secrets;
  }

  /** Opens a record of any epoch of its reading room. Throws CryptoError. */
  async openRecord(stream: StreamId, room: string, record: Uint8Array): Promise<Uint8Array> {
    const epoch = recordEpoch(record);
    // Without the secret the error is that of a wrong key: which of the two it was helps nobody but an attacker.
    const secret = this.ring.secret(room, epoch);
    const grown = this.grown.get(hex(stream));
    // Of the present epoch it was grown before.
    const last = secret && isSame(grown?.from[0], { secret, epoch }) ? grown?.secrets.read : undefined;
    const read = last ?? { secret: readSecret(secret ?? new Uint8Array(32), stream), epoch };
    return openRecord({ stream, read }, record);
  }

  /** A secret derived from a room's. Throws `not_permitted` where the room is not ours. */
  derived(name: string, room: string, context: Uint8Array, epoch?: number): Secret {
    const secret = epoch === undefined ? undefined : this.ring.secret(room, epoch);
    const held = epoch === undefined ? this.roomSecret(room) : secret && { epoch, secret };
    if (!held) throw new Misuse("not_permitted", "this device does not hold the keys for that");
    return { epoch: held.epoch, secret: derive(held.secret, name, context) };
  }

  /**
   * Secrets that a keybag told of, or of an act on its way (`first`): believed when the charter says so. Also beside one that
   * is held: a relay that was put back may show a charter with another of that epoch.
   */
  believeLater(secrets: Iterable<StoredSecret>, first = false): void {
    for (const given of secrets) {
      const held = this.ring.secret(given.room, given.epoch);
      if (held && same(held, given.secret)) continue;
      const others = this.unconfirmed.filter(
        ({ room, epoch }) => room === given.room && epoch === given.epoch,
      );
      if (others.some(({ secret }) => same(secret, given.secret))) continue;
      if (first) this.unconfirmed.unshift(given);
      else if (others.length < KEPT_OF_ONE_EPOCH) this.unconfirmed.push(given);
    }
    this.rememberUnconfirmed();
  }

  /** Not the one that the charter commits to. */
  disbelieve(wrong: StoredSecret): void {
    this.unconfirmed = this.unconfirmed.filter(
      ({ room, epoch, secret }) =>
        room !== wrong.room || epoch !== wrong.epoch || !same(secret, wrong.secret),
    );
    this.rememberUnconfirmed();
  }

  protected rememberUnconfirmed(): void {
    const rows = this.unconfirmed.map(({ room, epoch, secret }) => [room, epoch, secret] as const);
    this.store.putFact(this.case, "unconfirmed", rows.length ? pack(secretsShape, rows) : null);
  }

  /**
   * Secrets of *everyone* that only a keybag told of. Any of them may be a lie, and lies can name any epoch: so those of the
   * lowest come first, which are the next ones.
   */
  told(): StoredSecret[] {
    return this.unconfirmed.filter(({ room }) => room === EVERYONE).sort((a, b) => a.epoch - b.epoch);
  }

  protected charterSecrets(): SecretsByEpoch {
    const found = new Map<number, RoomSecret[]>();
    for (const { epoch, secret } of this.told()) found.set(epoch, [...(found.get(epoch) ?? []), secret]);
    for (const { room, epoch, secret } of this.ring) if (room === EVERYONE) found.set(epoch, [secret]);
    return found;
  }
}

export function notYet(): Misuse {
  return new Misuse("not_yet", "nobody of the circle has let this device in yet; sync again later");
}

/** What the three rooms of a stream give to whoever holds their secrets. */
export function secretsFrom(
  stream: StreamId,
  [read, write, manage]: readonly [string | undefined, string | undefined, string | undefined],
  secretOf: (room: string) => Secret | undefined,
): StreamSecrets {
  const grown = (
    room: string | undefined,
    grow: (secret: Uint8Array, stream: Uint8Array) => Uint8Array,
  ): Secret | undefined => {
    const held = room === undefined ? undefined : secretOf(room);
    return held && { secret: grow(held.secret, stream), epoch: held.epoch };
  };
  return {
    stream,
    read: grown(read, readSecret),
    write: grown(write, writeSecret),
    manage: grown(manage, manageSecret),
  };
}
