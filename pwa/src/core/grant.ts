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
import { bytes, pack, struct, text, uint } from "./shape";
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
});
export interface Terms {
  readonly to: string;
  readonly selection: Selection;
  readonly until: number;
  readonly seed: Uint8Array;
  readonly pseudonyms: Uint8Array;
  /** The item in the part `access`. */
  readonly access: string;
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

const welcomeShape = struct({ grant: bytes<GrantId>(16), state: signedShape });
const turnedShape = struct({ to: bytes<DeviceId>(16), box: bytes() });

export async function signState(granter: SigningKey, state: GrantState): Promise<Signed> {
  const body = pack(stateShape, state);
  return { body, sig: await sign(granter, "grant state", state.grant, body) };
}

/**
 * A state that the pinned granter signed for this grant, with `n` above the newest one seen.
 *
 * Throws Inadmissible: `bad_view` (another signer or grant, or nonsense), `not_newer`: an old state would bring back a
 * publisher who was put out.
 */
export async function openState(
  signed: Signed,
  grant: GrantId,
  granter: Uint8Array,
  above = 0,
): Promise<GrantState> {
  await verified(granter, "grant state", grant, signed, "bad_view");
  const state = opened(stateShape, signed.body);
  if (!same(state.grant, grant) || same(state.down, state.up)) {
    throw new Inadmissible("bad_view", "a state of another grant");
  }
  if (state.n <= above) throw new Inadmissible("not_newer", "an older state came after a newer one");
  return state;
}

/** The content of the welcome box on the doorstep of a grant. */
export function makeWelcome(grant: GrantId, state: Signed): Uint8Array {
  return pack(welcomeShape, { grant, state });
}

/** `grant` and `granter` are the greeting's, which the link pins. */
export async function openWelcome(
  content: Uint8Array,
  grant: GrantId,
  granter: Uint8Array,
): Promise<GrantState> {
  const welcome = opened(welcomeShape, content);
  if (!same(welcome.grant, grant)) throw new Inadmissible("bad_view", "a welcome of another grant");
  return openState(welcome.state, grant, granter);
}

/** The doorstep record that brings the next state to the recipient's device, whose box key is `box`. */
export async function makeTurned(
  box: Uint8Array,
  doorstep: StreamId,
  device: DeviceId,
  state: Signed,
): Promise<Uint8Array> {
  const sealed = await sealBox(box, "grant state", join(doorstep, device), pack(signedShape, state));
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
): Promise<GrantState> {
  const turned = opened(turnedShape, payload);
  if (!same(turned.to, device)) throw new Inadmissible("not_for_me", "a state for another device");
  const plaintext = await openBox(key, "grant state", join(doorstep, device), turned.box);
  return openState(opened(signedShape, plaintext), grant, granter, above);
}
