/**
 * A colleague takes over, and a copy for a reader's own record: mirror of core/eigenkring/renewing.py. Spec:
 * docs/spec/view.md, Renew and copy.
 */
import type { Case } from "./case";
import type { Grant } from "./charter/state";
import { Misuse } from "./errors";
import { dayOf, type Given } from "./giving";
import { hex } from "./ids";
import type { Device } from "./library";
import { termsOf } from "./session/doors";
import type { Projection } from "./view";

/**
 * The same choice and purpose for a colleague; the one before reads no more. `until` is the old date where none is given.
 * The new grant comes first: a stop in between leaves both, and it may be repeated.
 */
export async function renew(one: Case, text: string, to: string, until?: string): Promise<Given> {
  const id = one.grantId(text);
  const { session } = one;
  const old = one.charter.grants.get(hex(id)) as Grant;
  const terms = await termsOf(session, old);
  if (!terms) throw new Misuse("not_permitted", "only the circle knows what was given there");
  const logged = session.read(session.part("access")).get("grants")?.get(terms.access);
  const purpose = logged?.get("purpose");
  if (typeof purpose !== "string" || !purpose) {
    throw new Misuse("not_permitted", "the access log does not say what that was for; give access anew");
  }
  const { selection, compare } = terms;
  const given = await one.grant(to, purpose, until ?? dayOf(old.until), selection, compare);
  await one.withdraw(hex(id));
  return given;
}

/** A reader's copy. `saved` is in seconds. */
export interface Copy {
  readonly from: string;
  readonly for: string;
  readonly grant: string;
  readonly version: number;
  readonly saved: number;
  readonly parts: Projection;
}

/**
 * A reader's copy for the own record. Reported before it is given: a copy of which the family hears nothing must not exist.
 * Throws Ended when access was stopped.
 */
export async function saveCopy(device: Device, text: string): Promise<Copy> {
  const parts = await device.view(text);
  const row = await device.grantRow(text);
  await device.say(text, "copied", { v: row.version });
  return {
    from: row.sender,
    for: row.name,
    grant: hex(row.grant),
    version: row.version,
    saved: device.around.clock(),
    parts,
  };
}
