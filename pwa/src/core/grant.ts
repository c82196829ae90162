/**
 * Keys, terms and states of a grant: what the family keeps, and what the recipient pins. Mirrors core/eigenkring/grant.py.
 * Spec: docs/spec/view.md.
 */
import { type BoxKey, openBox, sealBox } from "../crypto/box";
import { derive } from "../crypto/kdf";
import { openSealed, seal } from "../crypto/seal";
import { SigningKey, sign } from "../crypto/sign";
import { Inadmissible } from "./errors";
import { type DeviceId, type GrantId, join, named, type RoomSecret, type StreamId, same } from "./ids";
import { bool, bytes, list, optional, pack, struct, text, tuple, uint } from "./shape";
import { opened, positive, type Selection, type Signed, selection, signedShape, verified } from "./view";

export const PSEUDONYMS_BYTES = 32;
const most = Number.MAX_SAFE_INTEGER;

// --- keys that every device entitled to them grows, so that none has to travel

/**
 * Signs the states of this grant: any device of the owner who gave it can. `ownRoom` is the secret of the room `@owner`
 * in the epoch in which the grant was given.
 */
export function granterKey(ownRoom: RoomSecret, grant: GrantId): Promise<SigningKey> {
  return SigningKey.fromSeed(derive(ownRoom, "granter", grant));
}

/** Signs the views: any device of the circle can, and the reader sees only the family. */
export function publisherKey(circle: RoomSecret, grant: GrantId): Promise<SigningKey> {
  return SigningKey.fromSeed(derive(circle, "publisher", grant));
}

// --- terms: what the circle knows of a grant and the charter does not say

const termsShape = struct({
  to: text,
  selection,
  until: uint(most),
  seed: bytes(32),
  pseudonyms: bytes(32),
  access: text,
  compare: optional(bool, false, true),
});
export interface Terms {
  readonly to: string;
  readonly selection: Selection;
  readonly until: number;
  readonly seed: Uint8Array;
  readonly pseudonyms: Uint8Array;
  /** The item in the part `access`. */
  readonly access: string;
  /**
   * Four words are compared with the reader before any key is given. It stands here and not only in the greeting: a thief
   * with the link, and a relay that helps, could lay another greeting there.
   */
  readonly compare: boolean;
}

export function sealTerms(
  circle: RoomSecret,
  epoch: number,
  grant: GrantId,
  terms: Terms,
  nonce: Uint8Array,
): Promise<Uint8Array> {
  return seal(derive(circle, "grant terms", grant), grant, epoch, pack(termsShape, terms), nonce);
}

/**
 * Throws Unopenable for another secret or grant, Inadmissible `bad_view` for nonsense. `checkSelection` is to follow
 * before anything is published: an owner signed the entry, not the schema.
 */
export async function openTerms(circle: RoomSecret, grant: GrantId, sealed: Uint8Array): Promise<Terms> {
  return opened(
    termsShape,
    (await openSealed(derive(circle, "grant terms", grant), grant, sealed)).plaintext,
  );
}

/**
 * Which device published, for the family alone. Epoch 0 and the grant's own secret: the circle's epoch would tell the
 * reader how often somebody left.
 */
export function sealAuthor(
  pseudonyms: Uint8Array,
  grant: GrantId,
  device: DeviceId,
  nonce: Uint8Array,
): Promise<Uint8Array> {
  return seal(derive(pseudonyms, "view author", grant), grant, 0, device, nonce);
}

export async function openAuthor(pseudonyms: Uint8Array, grant: GrantId, who: Uint8Array): Promise<DeviceId> {
  const { plaintext } = await openSealed(derive(pseudonyms, "view author", grant), grant, who);
  if (plaintext.length !== 16) throw new Inadmissible("bad_view", "no device published this view");
  return named(plaintext);
}

// --- grant state: the secret that opens `down` and `up`, and who may publish

const stateShape = struct({
  grant: bytes<GrantId>(16),
  n: positive(most),
  down: bytes<StreamId>(16),
  up: bytes<StreamId>(16),
  secret: bytes<RoomSecret>(32),
  epoch: positive(0xffff_ffff),
  publisher: bytes(32),
  until: uint(most),
  to: text,
});
export interface GrantState {
  readonly grant: GrantId;
  readonly n: number;
  readonly down: StreamId;
  readonly up: StreamId;
  readonly secret: RoomSecret;
  readonly epoch: number;
  readonly publisher: Uint8Array;
  readonly until: number;
  readonly to: string;
}

/** The granter's next key, signed by the one before: a lost device's key is worth nothing once it was read. */
export type Heir = readonly [key: Uint8Array, sig: Uint8Array];
/** `heirs`: all the keys after the one in the charter, in order; the last one signed `body`. */
export interface SignedState extends Signed {
  readonly heirs: readonly Heir[];
}
/** As often as an owner can lose a device while one grant lasts, and more. */
export const MAX_HEIRS = 64;
const heirs = list(tuple(bytes(32), bytes(64)), 0, MAX_HEIRS);
const signedStateShape = struct({ ...signedShape.fields, heirs: optional(heirs, [], true) });
const welcomeShape = struct({ grant: bytes<GrantId>(16), state: signedStateShape });
const turnedShape = struct({ to: bytes<DeviceId>(16), box: bytes() });

/** `keys`: the granter's, from the one in the charter to the newest. */
export async function signState(keys: readonly SigningKey[], state: GrantState): Promise<SignedState> {
  const newest = keys.at(-1);
  if (!newest) throw new Error("nobody to sign a state");
  const named: Heir[] = [];
  for (const [at, after] of keys.slice(1).entries()) {
    const before = keys[at] as SigningKey;
    named.push([after.public, await sign(before, "granter", state.grant, after.public)]);
  }
  const body = pack(stateShape, state);
  return { body, sig: await sign(newest, "grant state", state.grant, body), heirs: named };
}

/**
 * A state that the pinned granter, or the newest heir, signed for this grant, with `n` above the newest one seen; and
 * the key to pin from now on: who had the one before can say nothing more.
 *
 * Throws Inadmissible: `bad_view` (another signer or grant, or nonsense), `not_newer`: an old state would bring back a
 * publisher who was put out.
 */
export async function openState(
  signed: SignedState,
  grant: GrantId,
  pinned: Uint8Array,
  above = 0,
): Promise<OpenedState> {
  const granter = await heirOf(pinned, signed.heirs, grant);
  await verified(granter, "grant state", grant, signed, "bad_view");
  const state = opened(stateShape, signed.body);
  if (!same(state.grant, grant) || same(state.down, state.up)) {
    throw new Inadmissible("bad_view", "a state of another grant");
  }
  if (state.n <= above) throw new Inadmissible("not_newer", "an older state came after a newer one");
  return { state, granter };
}
export interface OpenedState {
  readonly state: GrantState;
  readonly granter: Uint8Array;
}

/** From the pinned key on; what came before it was checked when it was pinned. */
async function heirOf(pinned: Uint8Array, heirs: readonly Heir[], grant: GrantId): Promise<Uint8Array> {
  const after = heirs.findIndex(([key]) => same(key, pinned)) + 1;
  let granter = pinned;
  for (const [key, sig] of heirs.slice(after)) {
    await verified(granter, "granter", grant, { body: key, sig }, "bad_view");
    granter = key;
  }
  return granter;
}

/** The content of the welcome box on the doorstep of a grant. */
export function makeWelcome(grant: GrantId, state: SignedState): Uint8Array {
  return pack(welcomeShape, { grant, state });
}

/** `grant` and `granter` are the greeting's, which the link pins. */
export async function openWelcome(
  content: Uint8Array,
  grant: GrantId,
  granter: Uint8Array,
): Promise<OpenedState> {
  const welcome = opened(welcomeShape, content);
  if (!same(welcome.grant, grant)) throw new Inadmissible("bad_view", "a welcome of another grant");
  return openState(welcome.state, grant, granter);
}

/** The doorstep record that brings the next state to the recipient's device, whose box key is `box`. */
export async function makeTurned(
  box: Uint8Array,
  doorstep: StreamId,
  device: DeviceId,
  state: SignedState,
): Promise<Uint8Array> {
  const sealed = await sealBox(box, "grant state", join(doorstep, device), pack(signedStateShape, state));
  return pack(turnedShape, { to: device, box: sealed });
}

/** As `openState`; `not_for_me` for another device's, Unopenable for a box that does not open. */
export async function openTurned(
  payload: Uint8Array,
  key: BoxKey,
  doorstep: StreamId,
  device: DeviceId,
  grant: GrantId,
  granter: Uint8Array,
  above: number,
): Promise<OpenedState> {
  const turned = opened(turnedShape, payload);
  if (!same(turned.to, device)) throw new Inadmissible("not_for_me", "a state for another device");
  const plaintext = await openBox(key, "grant state", join(doorstep, device), turned.box);
  return openState(opened(signedStateShape, plaintext), grant, granter, above);
}
