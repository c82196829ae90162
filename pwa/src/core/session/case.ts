/**
 * What one device knows of one case: mirror of core/eigenkring/session/case.py. Loaded from the store; every change of it
 * goes to the store first.
 *
 * The engine, the clock and randomness are arguments. Whatever changes a case runs `inTurn`, one after the other, because
 * WebCrypto makes every step wait somewhere; the network is never waited for inside a turn, so that a person can write
 * while a sync hangs.
 */
import { manageSecret, readSecret, writeSecret } from "../../crypto/capability";
import type { DeviceKeys } from "../../crypto/device";
import { derive } from "../../crypto/kdf";
import { recordEpoch } from "../../crypto/seal";
import { type Entry, parseEntry } from "../charter/entry";
import { fold } from "../charter/rules";
import { type Charter, isHere } from "../charter/state";
import type { DocumentEngine } from "../document";
import { Inadmissible, Misuse } from "../errors";
import { type CaseId, type DeviceId, hex, type PersonId, type RoomSecret, type StreamId, same } from "../ids";
import { EVERYONE, Keyring, OWNERS } from "../rooms";
import type { Schema } from "../schema";
import { bytes, list, pack, text, tuple, u32, unpack } from "../shape";
import type { Store, StoredCase, StoredSecret } from "../store";
import { openRecord, type Position, type Secret, type StreamSecrets, startOf } from "../stream";
import { openCharter, type Told } from "./reading";

export type Random = (size: number) => Uint8Array;
/** Seconds since 1970. */
export type Clock = () => number;

/** What a session is given, so that it needs no I/O of its own. */
export interface Surroundings {
  readonly schema: Schema;
  /** An empty document of this actor. */
  readonly newEngine: (actor: Uint8Array) => DocumentEngine;
  readonly clock: Clock;
  readonly random: Random;
}

/** A room's secret as a keybag gave it, and the device that signed the keybag, where that was checked (else empty). */
interface Unconfirmed extends StoredSecret {
  readonly sender: Uint8Array;
}
const unconfirmedShape = list(tuple(text, u32, bytes<RoomSecret>(32), bytes()));

/** Charter, secrets and alarms of one case. `charter` is undefined until the first keys arrived. */
export class CaseState {
  readonly ring: Keyring;
  charter: Charter | undefined;
  readonly entries: Entry[] = [];
  /** How many of the secrets told of *everyone* the relay has refused. */
  charterTry = 0;
  /** Appends that the relay refused in this sync. */
  refusals = 0;
  /** From keybags that the charter has not confirmed yet: good for reading the charter, for nothing else. */
  private unconfirmed: Unconfirmed[] = [];
  /** Charter records up to here were folded. */
  private folded = 0;
  private turn: Promise<unknown> = Promise.resolve();

  protected constructor(
    readonly store: Store,
    public row: StoredCase,
    readonly around: Surroundings,
    readonly keys: DeviceKeys,
  ) {
    this.ring = new Keyring(row.keysSecret ?? undefined);
    for (const { room, epoch, secret } of store.roomSecrets(row.case)) this.ring.add(room, epoch, secret);
    const packed = store.fact(row.case, "unconfirmed");
    if (packed) {
      this.unconfirmed = unpack(unconfirmedShape, packed).map(([room, epoch, secret, sender]) => ({
        room,
        epoch,
        secret,
        sender,
      }));
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
    return rooms ? secretsFrom(stream, [rooms.read, rooms.write, rooms.manage], of) : { stream };
  }

  /** Opens a record of any epoch of its reading room. Throws CryptoError. */
  async openRecord(stream: StreamId, room: string, record: Uint8Array): Promise<Uint8Array> {
    const epoch = recordEpoch(record);
    // Without the secret the error is that of a wrong key: which of the two it was helps nobody but an attacker.
    const secret = this.ring.secret(room, epoch) ?? new Uint8Array(32);
    return openRecord({ stream, read: { secret: readSecret(secret, stream), epoch } }, record);
  }

  /** A secret derived from a room's. Throws `not_permitted` where the room is not ours. */
  derived(name: string, room: string, context: Uint8Array, epoch?: number): Secret {
    const secret = epoch === undefined ? undefined : this.ring.secret(room, epoch);
    const held = epoch === undefined ? this.roomSecret(room) : secret && { epoch, secret };
    if (!held) throw new Misuse("not_permitted", "this device does not hold the keys for that");
    return { epoch: held.epoch, secret: derive(held.secret, name, context) };
  }

  /** Secrets that a keybag told of, or that belong to an act that is on its way: believed when the charter says so. */
  believeLater(secrets: Iterable<StoredSecret>, sender: DeviceId | undefined): void {
    for (const given of secrets) {
      if (!this.ring.secret(given.room, given.epoch))
        this.unconfirmed.push({ ...given, sender: sender ?? new Uint8Array() });
    }
    this.rememberUnconfirmed();
  }

  private rememberUnconfirmed(): void {
    const rows = this.unconfirmed.map(
      ({ room, epoch, secret, sender }) => [room, epoch, secret, sender] as const,
    );
    this.store.putFact(this.case, "unconfirmed", rows.length ? pack(unconfirmedShape, rows) : null);
  }

  // --- the charter

  /** What was told of the secrets of a room: newest first, those that the charter confirmed before others of an epoch. */
  told(room: string): Told[] {
    const held = [...this.ring].map((given) => ({ ...given, confirmed: true }));
    const heard = this.unconfirmed.map((given) => ({ ...given, confirmed: false }));
    return [...held, ...heard].filter((given) => given.room === room).sort((a, b) => b.epoch - a.epoch);
  }

  /** The epoch of the newest key with which the relay let us read the charter, or that the charter itself confirms. */
  charterEpoch(): number {
    const packed = this.store.fact(this.case, "charter epoch");
    return Math.max(packed ? unpack(u32, packed) : 0, this.ring.newest(EVERYONE)?.epoch ?? 0);
  }

  putCharterEpoch(epoch: number): void {
    this.store.putFact(this.case, "charter epoch", pack(u32, epoch));
  }

  /** Folds what the store has and we have not. Gives whether the charter changed. */
  async foldCharter(): Promise<boolean> {
    const records = this.store.records(this.case, this.charterStream, this.folded);
    if (records.length === 0) return false;
    const payloads = await openCharter(this.case, records, this.told(EVERYONE), this.charterEpoch());
    let changed = false;
    for (const { index } of records) {
      const payload = payloads.get(index);
      if (!payload) break; // the keys for it have not come yet
      const before = this.store.chainAt(this.case, this.charterStream, index - 1);
      if (!before) throw new Error("a charter record without the chain before it");
      try {
        this.charter = await fold(this.charter, payload, this.case, before, this.around.schema);
        this.entries.push(parseEntry(payload));
        changed = true;
      } catch (error) {
        if (!(error instanceof Inadmissible)) throw error;
        if (error.code === "future_version") {
          this.alarm("future_version", "charter");
          break;
        }
        this.alarm(error.code, error.device ? `charter, device ${error.device}` : `charter record ${index}`);
      }
      this.folded = index;
    }
    if (changed) await this.confirm();
    return changed;
  }

  /** Checks secrets from keybags against the charter's commitments; uses the good, names the sender of the bad. */
  private async confirm(): Promise<void> {
    const charter = this.known();
    const before = new Set([...this.ring].map(({ room, epoch }) => `${room} ${epoch}`));
    await this.store.step(() => {
      this.unconfirmed = this.unconfirmed.filter(({ room, epoch, secret, sender }) => {
        const state = charter.rooms.get(room);
        if (!state || epoch > state.epoch) return true; // the entry that commits to it has not come yet
        try {
          this.ring.check(charter, room, epoch, secret);
          this.ring.add(room, epoch, secret);
        } catch (error) {
          if (!(error instanceof Inadmissible)) throw error;
          this.alarm("wrong_secret", sender.length ? `device ${hex(sender)}` : "keys");
        }
        return false;
      });
      this.ring.openHistory(charter);
      const fresh = [...this.ring].filter(({ room, epoch }) => !before.has(`${room} ${epoch}`));
      this.store.putRoomSecrets(this.case, fresh);
      this.rememberUnconfirmed();
      this.learnAboutMyself(charter);
    });
  }

  private learnAboutMyself(charter: Charter): void {
    const device = charter.devices.get(hex(this.device()));
    if (!device) return;
    const { state, person, title } = this.row;
    if (state === "entering" || !person || !same(person, device.person) || title !== charter.title) {
      this.putRow({ person: device.person, title: charter.title, state: "open", link: null });
    }
    if (!isHere(device)) this.putRow({ state: "removed" });
    else if (charter.closedN !== null) this.putRow({ state: "closed" });
  }

  /** The relay refuses every key this device holds for the charter, and no new key came: it was put out. */
  lockedOut(): void {
    if (this.charter && this.row.state === "open") this.putRow({ state: "removed" });
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
