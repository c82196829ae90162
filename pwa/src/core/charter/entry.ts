/**
 * The entries of the charter as bytes: one shape per kind. Spec: docs/spec/charter.md.
 *
 * What is signed and hashed are the bytes received; a body is what they say. Nothing here knows whether an entry is
 * allowed.
 */
import { BadSignature } from "../../crypto/errors";
import { label, sha256 } from "../../crypto/kdf";
import { type SigningKey, sign, verify } from "../../crypto/sign";
import { Inadmissible } from "../errors";
import {
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  type GrantId,
  hex,
  type InvitationId,
  named,
  type PersonId,
  type StreamId,
} from "../ids";
import { BadPacked, decode, encode, type Packable } from "../packed";
import {
  bool,
  bytes,
  choice,
  list,
  nullable,
  type Of,
  optional,
  pack,
  type Shape,
  struct,
  text,
  tuple,
  u32,
  uint,
  unpack,
} from "../shape";
import { MAX_RECORD_BYTES } from "../wire";

export const ZERO_HASH = named<EntryHash>(new Uint8Array(32));
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
export const VERSION = 1;

const caseId = bytes<CaseId>(16);
const person = bytes<PersonId>(8);
const device = bytes<DeviceId>(16);
const stream = bytes<StreamId>(16);
const grant = bytes<GrantId>(16);
const invitation = bytes<InvitationId>(16);
const hash = bytes<EntryHash>(32);
const chain = bytes<Chain>(32);
const key = bytes(32);
const signature = bytes(64);
const blob = bytes();
const link: Shape<Uint8Array> = {
  read: (value) => {
    const found = blob.read(value);
    if (found.length > 32) throw new BadPacked("a link of 32 bytes");
    return found;
  },
  write: (value) => value,
};
const count: Shape<number> = {
  read: (value) => {
    const found = u32.read(value);
    if (found < 1) throw new BadPacked("a number from 1");
    return found;
  },
  write: (value) => value,
};
const integer = uint(MAX_INTEGER);

export const role = choice("owner", "member", "child", "coordinator");
export type Role = Of<typeof role>;
const sleeping = choice("", "link", "paper");
export type Sleeping = Of<typeof sleeping>;

/** The public keys of a device. */
export const keys = struct({ sign: key, box: bytes(1216) });
export type Keys = Of<typeof keys>;
const roomEntry = struct({
  room: text,
  roles: list(role),
  people: list(person),
  epoch: count,
  commit: key,
  link: optional(link, new Uint8Array() as Uint8Array),
});
export type RoomEntry = Of<typeof roomEntry>;
const partEntry = struct({ part: text, stream, read: text, write: text, manage: text });
export type PartEntry = Of<typeof partEntry>;
/** Of each actor: its tag, the sequence of its last change that stands, the mark of that change. */
const cutEntry = struct({ stream, actors: list(tuple(bytes(16), count, key)) });
export type CutEntry = Of<typeof cutEntry>;
const approval = struct({ by: device, sig: signature });
export type Approval = Of<typeof approval>;

function absent<T>(of: Shape<T>): Shape<readonly T[]> {
  return optional(list(of), []);
}
const none = optional(blob, new Uint8Array() as Uint8Array);
const rooms = absent(roomEntry);
const cuts = absent(cutEntry);
const locks = absent(tuple(stream, key));
const approvals = absent(approval);

const base = {
  v: optional(choiceOfOne(), VERSION),
  case: caseId,
  n: count,
  prev: hash,
  chain,
  by: device,
  at: integer,
};
const invited = {
  doorstep: stream,
  seed_key: key,
  expires: integer,
  compare: bool,
  terms: none,
  act: none,
  approvals,
};

/** Every kind, its keys in the order in which they are written (after `what`). */
const BODIES = {
  found: struct({
    ...base,
    title: text,
    keys: stream,
    person,
    name: text,
    role: choice("owner", "coordinator"),
    device: keys,
    rooms: list(roomEntry),
    parts: list(partEntry),
  }),
  invite: struct({ ...base, invitation, person, name: text, role, ...invited }),
  readmit: struct({ ...base, invitation, person, name: text, ...invited }),
  cancel: struct({ ...base, invitation }),
  join: struct({
    ...base,
    invitation: optional(nullable(invitation), null),
    grant: optional(nullable(grant), null),
    statement: blob,
    seed_sig: signature,
    device_sig: signature,
  }),
  room: struct({ ...base, rooms: list(roomEntry), cuts, locks }),
  part: struct({ ...base, rooms, parts: list(partEntry) }),
  remove_person: struct({ ...base, person, rooms, cuts, act: none, approvals }),
  leave: struct({ ...base }),
  add_device: struct({ ...base, device: keys, sleeping, device_sig: signature }),
  remove_device: struct({ ...base, devices: list(device), rooms, cuts, locks }),
  set_role: struct({
    ...base,
    person,
    role,
    until: optional(nullable(integer), null),
    rooms,
    cuts,
    act: none,
    approvals,
  }),
  hand_over: struct({ ...base, person }),
  grant: struct({
    ...base,
    grant,
    doorstep: stream,
    down: stream,
    up: stream,
    seed_key: key,
    granter_key: key,
    until: integer,
    terms: blob,
    rooms: list(roomEntry),
  }),
  withdraw: struct({ ...base, grant }),
  expire: struct({
    ...base,
    grant: optional(nullable(grant), null),
    person: optional(nullable(person), null),
    rooms,
    cuts,
  }),
  adopt: struct({ ...base, dropped: list(tuple(count, hash)), floors: list(tuple(text, count)) }),
  close: struct({ ...base, act: none, approvals }),
};
export type What = keyof typeof BODIES;
type Bodies = { readonly [K in What]: { readonly what: K } & Of<(typeof BODIES)[K]> };
/** The body of one kind, or of any. */
export type Body<K extends What = What> = Bodies[K];

/** What every version of an entry says, so that its author is known before its meaning is. */
const outlineShape = struct({
  v: u32,
  case: caseId,
  n: count,
  prev: hash,
  chain,
  by: device,
  at: integer,
  what: text,
});
export type Outline = Of<typeof outlineShape>;
const payloadShape = struct({ body: blob, sig: signature });

/** `body` is absent where this program does not know the version or the kind. */
export interface Entry {
  readonly outline: Outline;
  readonly body: Body | undefined;
  readonly bodyBytes: Uint8Array;
  readonly sig: Uint8Array;
  readonly hash: EntryHash;
  readonly payload: Uint8Array;
}

export function entryHash(payload: Uint8Array): EntryHash {
  return named(sha256(label("entry"), payload));
}

/** Of its keys in this case: nobody can claim another device's id, or show that two cases have one phone. */
export function deviceId(caseId: CaseId, { sign, box }: Keys): DeviceId {
  return named(sha256(label("device"), caseId, sign, box).slice(0, 16));
}

/** The bytes of a body, as they are signed. */
export function packBody(body: Body): Uint8Array {
  const written = BODIES[body.what].write(body as never) as ReadonlyMap<string, Packable>;
  return encode(new Map<string, Packable>([["what", body.what], ...written]));
}

/** The payload of an entry: the body's bytes and the device's signature over them. */
export async function signEntry(body: Body, key: SigningKey): Promise<Uint8Array> {
  const bodyBytes = packBody(body);
  return pack(payloadShape, { body: bodyBytes, sig: await sign(key, "charter", body.case, bodyBytes) });
}

/** Throws `bad_entry` unless this key signed these bytes for this case. */
export async function verifyEntry({ outline, bodyBytes, sig }: Entry, signKey: Uint8Array): Promise<void> {
  try {
    await verify(signKey, "charter", outline.case, bodyBytes, sig);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw new Inadmissible("bad_entry", "a signature does not hold", hex(outline.by));
  }
}

/** Throws `bad_entry`: two readers of these bytes would not read the same, or they say too little. */
export function parseEntry(payload: Uint8Array): Entry {
  if (payload.length > MAX_RECORD_BYTES)
    throw new Inadmissible("bad_entry", "an entry is longer than a record");
  try {
    const outer = unpack(payloadShape, payload);
    const fields = decode(outer.body);
    const outline = outlineShape.read(fields);
    const known = outline.v === VERSION && Object.hasOwn(BODIES, outline.what);
    const what = outline.what as What;
    const body = known ? ({ what, ...BODIES[what].read(fields) } as Body) : undefined;
    return { outline, body, bodyBytes: outer.body, sig: outer.sig, hash: entryHash(payload), payload };
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    // The reason is not repeated: it may hold a piece of what was written.
    throw new Inadmissible("bad_entry", "an entry does not decode");
  }
}

function choiceOfOne(): Shape<1> {
  return {
    read: (value) => {
      if (value !== VERSION) throw new BadPacked("version 1");
      return VERSION;
    },
    write: (value) => value,
  };
}
