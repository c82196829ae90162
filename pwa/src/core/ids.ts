/**
 * Names for byte strings, so that the compiler tells them apart. Sizes: docs/spec/conventions.md.
 *
 * JavaScript compares byte arrays by identity, so a Map or Set is keyed by their lower-case hex.
 */

export { concat as join } from "../crypto/kdf";

declare const brand: unique symbol;
export type Named<N extends string> = Uint8Array & { readonly [brand]: { readonly [K in N]: true } };

export type StreamId = Named<"StreamId">; // 16
export type CaseId = Named<"CaseId" | "StreamId">; // 16, the id of the charter's stream
export type PersonId = Named<"PersonId">; // 8
export type DeviceId = Named<"DeviceId">; // 16, a hash of the device's two public keys
export type GrantId = Named<"GrantId">; // 16
export type InvitationId = Named<"InvitationId">; // 16
export type EntryHash = Named<"EntryHash">; // 32, identifies a charter state
export type Chain = Named<"Chain">; // 32, running hash of a stream
export type RecordBytes = Named<"RecordBytes">; // sealed
export type RoomSecret = Named<"RoomSecret">; // 32, of one room in one epoch
export type Capability = Named<"Capability">; // 32
export type CapabilityHash = Named<"CapabilityHash">; // 32

/** A byte string under one of the names above: the one place where a name is given without a check. */
export function named<B extends Uint8Array>(bytes: Uint8Array): B {
  return bytes as B;
}

/** Lower-case hex of a byte string: the key of a Map, the text form of an id. */
export type Hex = string;

const ascii = new TextDecoder();
const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes: Uint8Array): Hex {
  // Letter by letter a long one would be a rope of as many pieces.
  if (bytes.length > 64) return digitsOf(bytes);
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

function digitsOf(bytes: Uint8Array): Hex {
  const codes = new Uint8Array(2 * bytes.length);
  let at = 0;
  for (const byte of bytes) {
    codes[at++] = code(byte >> 4);
    codes[at++] = code(byte & 15);
  }
  return ascii.decode(codes);
}

function code(digit: number): number {
  return digit < 10 ? digit + 48 : digit + 87;
}

/** The bytes of lower-case hex. RangeError for anything else: one id has one text. */
export function unhex<B extends Uint8Array>(text: Hex): B {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) throw new RangeError("no lower-case hex");
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = digit(text.charCodeAt(2 * at)) * 16 + digit(text.charCodeAt(2 * at + 1));
  return named(bytes);
}

/** Of a code that was seen to be a digit: 0 is 48, a is 97. */
function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

/** Whether two byte strings are equal, in a time that does not tell where they differ. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= (a[at] as number) ^ (b[at] as number);
  return difference === 0;
}
