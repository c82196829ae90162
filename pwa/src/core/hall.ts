/**
 * The hall behind a moving address, with the seeds of sleeping devices, one for each case: mirror of core/eigenkring/hall.py.
 * Spec: docs/spec/recovery.md, Moving in.
 *
 * What the address alone holds is a key to this stream. Where the hall is closed, or its days are over, it opens nothing.
 */
import { derive, label, sha256 } from "../crypto/kdf";
import { Inadmissible } from "./errors";
import { hex, same } from "./ids";
import type { Link } from "./link";
import { BadPacked } from "./packed";
import { type Sheet, sheetShape } from "./paper";
import { list, pack, struct, text, uint, unpack } from "./shape";
import { opening, type StreamSecrets } from "./stream";
import type { Open } from "./wire";

/** The kind of its link. */
export const MOVE = 4;
export const MAX_SHEETS = 1_000;
const MAX_NAME_CHARS = 1_000;

const hallShape = struct({
  name: text,
  until: uint(Number.MAX_SAFE_INTEGER),
  sheets: list(sheetShape, 1, MAX_SHEETS),
});

/** `name`: whose it is, to ask them before anything is done; `until`: seconds, by the clock of who made it. Never log it. */
export interface Hall {
  readonly name: string;
  readonly until: number;
  readonly sheets: readonly Sheet[];
}

/** All three: who moved in closes the door behind them. */
export function hallSecrets({ doorstep: stream, seed }: Link): StreamSecrets {
  const grown = (name: string) => ({ secret: derive(seed, name, stream), epoch: 0 });
  return { stream, read: grown("hall read"), write: grown("hall write"), manage: grown("hall manage") };
}

/** The relay ends it then, in seconds, by its own clock. */
export function hallOpening(link: Link, expires: number): Open {
  return { ...opening(hallSecrets(link)), expires };
}

export const packHall = (hall: Hall): Uint8Array => pack(hallShape, hall);

/** What the address holds of it: whoever found the address too cannot put other seeds there. */
export function hallPin(payload: Uint8Array): Uint8Array {
  return sha256(label("hall"), payload);
}

/** Throws Inadmissible `wrong_pin` for anything but what the address was made with. */
export function openHall(payload: Uint8Array, pin: Uint8Array): Hall {
  if (!same(hallPin(payload), pin)) {
    throw new Inadmissible("wrong_pin", "this is not what the address was made with");
  }
  let hall: Hall;
  try {
    hall = unpack(hallShape, payload);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new Inadmissible("wrong_pin", "what lies there is no hall");
  }
  if ([...hall.name].length > MAX_NAME_CHARS) throw new Inadmissible("wrong_pin", "a name too long");
  if (new Set(hall.sheets.map((sheet) => hex(sheet.case))).size !== hall.sheets.length) {
    throw new Inadmissible("wrong_pin", "a case twice");
  }
  return hall;
}
