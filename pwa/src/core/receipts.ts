/**
 * What a reader said, as a device of the circle reads it, and the receipts of the reader's app in the access log: mirror of
 * core/eigenkring/receipts.py.
 */
import { CryptoError } from "../crypto/errors";
import type { Grant } from "./charter/state";
import type { Intent } from "./document";
import { Inadmissible } from "./errors";
import { type Hex, hex, same } from "./ids";
import { grantRoom } from "./rooms";
import { incomingId, openSaid, type Said, WORDS } from "./said";
import { termsOf } from "./session/doors";
import type { CaseSession } from "./session/parts";

export interface Received {
  readonly id: Hex;
  readonly said: Said;
}

/** What the reader of a grant said, in order. What is not by that reader, or said twice, is passed over and told. */
export async function received(session: CaseSession, grant: Grant): Promise<Received[]> {
  const found: Received[] = [];
  if (!grant.device) return found;
  const of = hex(grant.grant);
  let above = 0;
  for (const { index, record } of session.store.records(session.case, grant.up)) {
    try {
      const payload = await session.openRecord(grant.up, grantRoom(grant.grant), record);
      const said = await openSaid(payload, grant.up, grant.grant, grant.device.sign, above);
      const seen = session.store.chainAt(session.case, grant.up, said.length);
      if (said.length >= index || (seen && !same(seen, said.chain))) {
        // Either the reader lies or was shown another log; the words are the reader's all the same.
        session.alarm("false_seen", `up of ${of}`);
      }
      above = said.n;
      found.push({ id: incomingId(grant.grant, payload), said });
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
      session.alarm(error.code, `up of ${of} record ${index}`);
    }
  }
  return found;
}

/** Writes into the access log what readers' apps reported. Gives whether there was anything new. In the session's turn. */
export async function noteReceipts(session: CaseSession): Promise<boolean> {
  const { charter } = session;
  const part = charter?.parts.get("access");
  const opened = part && session.parts.get(hex(part.stream));
  if (!charter || !opened || session.row.state !== "open") return false;
  if (!charter.mayWrite(session.me(), "access")) return false;
  const items = session.read(opened).get("grants");
  const intents: Intent[] = [];
  for (const grant of charter.grants.values()) {
    const terms = await termsOf(session, grant);
    const item = terms && items?.get(terms.access);
    if (!terms || !item) continue;
    const newest = new Map(
      (await received(session, grant))
        .filter(({ said }) => !WORDS.has(said.what))
        .map(({ said }) => [said.what, dayOf(said.at)] as const),
    );
    for (const [field, day] of newest) {
      if (item.get(field) !== day) intents.push(["set", ["grants", terms.access, field], day]);
    }
  }
  if (intents.length > 0) await session.edit("access", intents);
  return intents.length > 0;
}

/** By the sender's clock, which decides nothing; the same day everywhere. A clock beyond the calendar is shown as no day. */
export function dayOf(at: number): string {
  const when = new Date(1000 * at);
  const year = when.getUTCFullYear();
  return year >= 1 && year <= 9999 ? when.toISOString().slice(0, 10) : "";
}
