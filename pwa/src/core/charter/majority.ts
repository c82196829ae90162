/**
 * Acts that one owner cannot do alone, and the votes for them. Spec: docs/spec/charter.md, Majority.
 *
 * Approvals travel in keybags and are posted with the entry that acts: who is to be removed must not read it in the
 * charter first.
 */
import { BadSignature } from "../../crypto/errors";
import { type SigningKey, sign, verify } from "../../crypto/sign";
import { Inadmissible } from "../errors";
import {
  type CaseId,
  type DeviceId,
  type EntryHash,
  type Hex,
  hex,
  named,
  type PersonId,
  same,
} from "../ids";
import { BadPacked } from "../packed";
import { bytes, choice, type Of, pack, struct, text, u32, unpack } from "../shape";
import type { Approval } from "./entry";
import { type Charter, isHere } from "./state";

export const NOBODY = named<PersonId>(new Uint8Array(8));
const deed = choice("invite", "set_role", "remove_person", "close", "readmit");
export type Deed = Of<typeof deed>;

/** What is asked, and in which company: it is worth nothing in another one. */
const actShape = struct({
  case: bytes<CaseId>(16),
  what: deed,
  person: bytes<PersonId>(8),
  role: text,
  n: u32,
  head: bytes<EntryHash>(32),
});
export type Act = Of<typeof actShape>;

/** The bytes that everybody who agrees signs. */
export function propose(charter: Charter, what: Deed, person: PersonId = NOBODY, role = ""): Uint8Array {
  return pack(actShape, { case: charter.case, what, person, role, n: charter.n, head: charter.head });
}

export function parseAct(act: Uint8Array): Act {
  try {
    const found = unpack(actShape, act);
    if (found.n < 1) throw new BadPacked("a number from 1");
    return found;
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new Inadmissible("not_permitted", "what was approved does not decode");
  }
}

/** A yes. Show the person what `parseAct` says before; throws where it would count for nothing. */
export async function approve(
  charter: Charter,
  act: Uint8Array,
  device: DeviceId,
  key: SigningKey,
): Promise<Approval> {
  checkAct(charter, parseAct(act));
  return { by: device, sig: await sign(key, "approval", charter.case, act) };
}

export function voters(charter: Charter, what: string): Set<Hex> {
  if (what === "readmit") return charter.withRole("member");
  const owners = charter.withRole("owner");
  // A coordinator who founded decides alone until there is an owner, and has no vote from then on.
  return owners.size > 0 || !charter.acting ? owners : new Set([hex(charter.acting)]);
}

/** How many yeses. Of two owners both; to bring a sole owner back three members where there are three, never one alone. */
export function needed(charter: Charter, what: string): number {
  const n = voters(charter, what).size;
  const half = Math.floor(n / 2) + 1;
  return what === "readmit" ? Math.max(half, Math.min(3, n), 2) : half;
}

/** Who agreed. Throws `not_permitted` for an approval that does not hold: none is passed over in silence. */
export async function yeses(
  charter: Charter,
  act: Uint8Array,
  approvals: Iterable<Approval>,
): Promise<Set<Hex>> {
  const asked = parseAct(act);
  checkAct(charter, asked);
  const allowed = voters(charter, asked.what);
  const found = new Set<Hex>();
  for (const { by, sig } of approvals) {
    const device = charter.devices.get(hex(by));
    // Whoever found an owner's address does not vote with it.
    const votes = device && isHere(device) && device.sleeping !== "link";
    if (!votes || !allowed.has(hex(device.person))) {
      throw new Inadmissible("not_permitted", "an approval of somebody without a vote", hex(by));
    }
    try {
      await verify(device.sign, "approval", charter.case, act, sig);
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
      throw new Inadmissible("not_permitted", "an approval that nobody signed", hex(by));
    }
    found.add(hex(device.person));
  }
  return found;
}

/** What an entry asks for, and the approvals that it posts. */
export interface Asked {
  readonly what: Deed;
  readonly person: PersonId;
  readonly role: string;
  readonly act: Uint8Array;
  readonly approvals: readonly Approval[];
}

/** Throws `not_permitted` unless enough people agreed to exactly this. The author agrees by the entry. */
export async function checkMajority(charter: Charter, author: PersonId, asked: Asked): Promise<void> {
  const agreed = new Set<Hex>();
  if (voters(charter, asked.what).has(hex(author))) agreed.add(hex(author));
  if (asked.act.length > 0 || asked.approvals.length > 0) {
    const act = parseAct(asked.act);
    if (act.what !== asked.what || !same(act.person, asked.person) || act.role !== asked.role) {
      throw new Inadmissible("not_permitted", "something else was approved");
    }
    for (const person of await yeses(charter, asked.act, asked.approvals)) agreed.add(person);
  }
  if (agreed.size < needed(charter, asked.what)) throw new Inadmissible("not_permitted", "too few agreed");
}

function checkAct(charter: Charter, act: Act): void {
  const head = charter.heads.get(act.n);
  if (!same(act.case, charter.case) || !head || !same(head, act.head)) {
    throw new Inadmissible("not_permitted", "approved in another charter");
  }
  // An approval kept since before somebody came or went says nothing of those who decide now.
  if (act.n < (act.what === "readmit" ? charter.circleN : charter.ownersN)) {
    throw new Inadmissible("not_permitted", "approved in another company");
  }
}
