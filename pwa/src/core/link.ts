/** Links: `RELAY/#` and what never leaves the fragment. Spec: docs/spec/charter.md, Doorstep. */
import { concat } from "../crypto/kdf";
import { Misuse } from "./errors";
import { named, type StreamId } from "./ids";

export const VERSION = 1;
const KINDS = [1, 2, 3, 4] as const;
export type LinkKind = (typeof KINDS)[number];
const BYTES = 2 + 16 + 32 + 32;
const CHARS = Math.ceil((BYTES * 4) / 3);
// No userinfo (`https://safe.example@evil.example/` reads like another place), no query, no dots that climb.
const RELAY =
  /^(https?):\/\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?((?:\/[A-Za-z0-9._~-]+)*)\/?$/i;
const SPACE = /^[ \t\r\n\u00a0\u200b\ufeff<>]+|[ \t\r\n\u00a0\u200b\ufeff<>]+$/g;

/**
 * `relay` is an address without closing slash; `kind`: 1 invites a person, 2 gives access, 3 adds an own device, 4 lets a
 * person move in elsewhere (`doorstep` is a hall then). The seed is the whole secret: a link in a log is a link given away.
 */
export interface Link {
  readonly relay: string;
  readonly kind: LinkKind;
  readonly doorstep: StreamId;
  readonly seed: Uint8Array;
  readonly pin: Uint8Array;
}

/** The text of a link. Throws Misuse `bad_link` for what would not parse again. */
export function formatLink({ relay, kind, doorstep, seed, pin }: Link): string {
  if (!isKind(kind) || doorstep.length !== 16 || seed.length !== 32 || pin.length !== 32) {
    throw new Misuse("bad_link", "a link of other parts");
  }
  const data = concat(Uint8Array.of(VERSION, kind), doorstep, seed, pin);
  return `${relayAddress(relay)}/#${base64url(data)}`;
}

/** Throws Misuse `bad_link`. Space around it is forgiven, and angle brackets, because mail programs add them. */
export function parseLink(text: string): Link {
  const trimmed = text.replace(SPACE, "");
  const at = trimmed.indexOf("#");
  const fragment = trimmed.slice(at + 1);
  if (at < 0 || fragment.length !== CHARS) throw new Misuse("bad_link", "the link is not complete");
  if (!/^[A-Za-z0-9_-]*$/.test(fragment)) throw new Misuse("bad_link", "the link holds other signs");
  const binary = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
  const data = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // Bits behind the last byte that are not zero would make two texts of one link.
  if (base64url(data) !== fragment) throw new Misuse("bad_link", "the link was mistyped");
  const kind = data[1] as number;
  if (data[0] !== VERSION || !isKind(kind)) throw new Misuse("bad_link", "the link is of a newer kind");
  return {
    relay: relayAddress(trimmed.slice(0, at)),
    kind,
    doorstep: named(data.slice(2, 18)),
    seed: data.slice(18, 50),
    pin: data.slice(50, 82),
  };
}

/** The address of a relay as links write it: scheme and host in small letters, no closing slash. */
export function relayAddress(address: string): string {
  const match = RELAY.exec(address.replace(SPACE, ""));
  if (!match) throw new Misuse("bad_link", "not the address of a relay");
  const [, scheme, host, port = "", path = ""] = match as unknown as [
    string,
    string,
    string,
    string?,
    string?,
  ];
  const number = Number(port.slice(1));
  const badPort = port !== "" && !(number > 0 && number < 65_536);
  if (badPort || path.split("/").some((part) => part === "." || part === "..")) {
    throw new Misuse("bad_link", "not the address of a relay");
  }
  return `${scheme.toLowerCase()}://${host.toLowerCase()}${port}${path}`;
}

function isKind(kind: number): kind is LinkKind {
  return KINDS.some((known) => known === kind);
}

function base64url(data: Uint8Array): string {
  const binary = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
