/**
 * What one device keeps, as a port: mirror of core/eigenkring/store.py. `app/indexed-store` keeps it in the browser,
 * `app/memory-store` in memory.
 *
 * Reading answers at once, from memory: the pure core asks for a chain value in the middle of a check and cannot wait. A
 * write shows to readers at once and is on disk later. Writes inside one `step` are kept all or none; its body is
 * synchronous, so that nothing of another case slips into it. Await `step` or `settled` before anything leaves the device
 * that stands on what was written: a change that was sent and then forgotten would be made a second time, otherwise.
 */
import {
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  type GrantId,
  named,
  type PersonId,
  type RecordBytes,
  type RoomSecret,
  type StreamId,
} from "./ids";
import type { RoomEpoch } from "./rooms";
import type { PlacedRecord, Position } from "./stream";

/** Facts of this device that belong to no case lie under this id. */
export const NO_CASE = named<CaseId>(new Uint8Array(16));

/** `waiting`: knocked. `entering`: welcomed, the charter is not read yet. */
export type CaseStatus = "waiting" | "entering" | "open" | "removed" | "closed";

/** One case on this device. Never log it. */
export interface StoredCase {
  readonly case: CaseId;
  readonly relay: string;
  readonly state: CaseStatus;
  /** 32, this device's keys grow from it. */
  readonly seed: Uint8Array;
  /** 8, of this store's life. */
  readonly incarnation: Uint8Array;
  readonly person: PersonId | null;
  readonly device: DeviceId | null;
  readonly keysStream: StreamId | null;
  readonly keysSecret: Uint8Array | null;
  /** The entry that let this device in; its first keybag lies under it. */
  readonly joinedHead: EntryHash | null;
  /** While waiting: the link that was followed. */
  readonly link: string | null;
  readonly title: string;
}

export type GrantStatus = "waiting" | "open" | "withdrawn" | "ended" | "link_used" | "link_expired";

/** A view that this device may read, as its recipient. */
export interface StoredGrant {
  readonly grant: GrantId;
  readonly case: CaseId;
  readonly relay: string;
  readonly link: string;
  readonly seed: Uint8Array;
  readonly name: string;
  readonly granterKey: Uint8Array;
  readonly status: GrantStatus;
  readonly until: number;
  readonly stateN: number;
  /** The newest accepted grant state, packed. */
  readonly state: Uint8Array;
  readonly version: number;
  /** Of the newest accepted view: 32 bytes of digest, then the packed projection. */
  readonly view: Uint8Array;
  /** Who asked, from the greeting. */
  readonly sender: string;
}

/** A secret of a room in one epoch. */
export interface StoredSecret {
  readonly room: string;
  readonly epoch: number;
  readonly secret: RoomSecret;
}

/**
 * Something to send: a sealed record for a stream (`ops` empty); without a record own words of that stream that are not
 * signed yet (`session/packing`); without a stream packed operations that are sent as they are.
 */
export interface OutboxItem {
  readonly number: number;
  readonly stream: StreamId | null;
  readonly record: RecordBytes | null;
  readonly ops: Uint8Array;
}

/** What the person did, beside the change that says it, so that it can be made again (part.md). */
export interface OwnChange {
  readonly hash: Uint8Array;
  readonly sequence: number;
  /** JSON. */
  readonly intents: Uint8Array;
}

export interface Alarm {
  readonly code: string;
  readonly about: string;
  readonly at: number;
}

export interface Store {
  /** Resolves when all that `body` wrote is on disk; when `body` throws, nothing of it was written. */
  step(body: () => void): Promise<void>;
  /** Resolves when every write so far is on disk. Throws `no_home` when one could not be kept. */
  settled(): Promise<void>;
  close(): Promise<void>;

  /** Whether records can be read: a store may read them last, because they are most of it and no first screen needs them. */
  readonly isWhole: boolean;
  /** Resolves when they can. Until then asking for a record or a chain is an error. Throws `no_home`, `home_locked`. */
  whole(): Promise<void>;

  cases(): StoredCase[];
  case(caseId: CaseId): StoredCase | undefined;
  putCase(row: StoredCase): void;

  grants(): StoredGrant[];
  putGrant(row: StoredGrant): void;

  roomSecrets(caseId: CaseId): StoredSecret[];
  /** One that is there already stays as it is. */
  putRoomSecrets(caseId: CaseId, secrets: Iterable<StoredSecret>): void;
  dropRoomSecrets(caseId: CaseId, which: Iterable<RoomEpoch>): void;

  position(caseId: CaseId, stream: StreamId): Position | undefined;
  /** Of index 0 the start of the stream; undefined where no record with that index was ever kept. */
  chainAt(caseId: CaseId, stream: StreamId, index: number): Chain | undefined;
  records(caseId: CaseId, stream: StreamId, after?: number): PlacedRecord[];
  /** Keeps records and the place they lead to. Records up to `position.base` are forgotten, chains are kept. */
  putRecords(caseId: CaseId, stream: StreamId, position: Position, placed: Iterable<PlacedRecord>): void;
  /** Another log of the stream in the place of the one that was kept: records and chains. */
  replaceRecords(
    caseId: CaseId,
    stream: StreamId,
    position: Position,
    baseChain: Chain,
    placed: Iterable<PlacedRecord>,
  ): void;
  forgetStream(caseId: CaseId, stream: StreamId): void;

  outbox(caseId: CaseId): OutboxItem[];
  addOutbox(caseId: CaseId, stream: StreamId | null, record: RecordBytes | null, ops?: Uint8Array): number;
  dropOutbox(number: number): void;

  ownChanges(caseId: CaseId, stream: StreamId): OwnChange[];
  putOwnChange(caseId: CaseId, stream: StreamId, change: OwnChange): void;
  dropOwnChange(caseId: CaseId, stream: StreamId, changeHash: Uint8Array): void;

  /** A small thing this device remembers of a case, such as the generation it last saw. */
  fact(caseId: CaseId, name: string): Uint8Array | undefined;
  putFact(caseId: CaseId, name: string, value: Uint8Array | null): void;
  /** As a fact, and not in memory: it is fetched when it is asked for. Undefined also where it is damaged. */
  large(caseId: CaseId, name: string): Promise<Uint8Array | undefined>;
  putLarge(caseId: CaseId, name: string, value: Uint8Array | null): void;

  alarms(caseId: CaseId): Alarm[];
  /** The first of a code and what it is about stays. */
  putAlarm(caseId: CaseId, alarm: Alarm): void;
  dropAlarm(caseId: CaseId, code: string, about: string): void;
  eraseCase(caseId: CaseId): void;
  /** Makes what was deleted gone from the files too, as far as the platform lets us. */
  tidy(): Promise<void>;
}
