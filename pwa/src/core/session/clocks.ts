/**
 * What time it is, where one clock may be years off: an end that was entered is entered for good. Mirror of
 * core/eigenkring/session/clocks.py; docs/decisions/clocks.md.
 *
 * An end date has come when this device's clock says so and a second one does not deny it: the relay's, which its answers
 * carry, or else the newest time that another device of the circle signed. Neither can end anything alone, and a relay that
 * lies about the day only delays.
 */
import { Misuse } from "../errors";
import { same } from "../ids";
import { FIRST_DAY, LAST_DAY } from "../part/attestation";
import type { CaseState } from "./case";

/** Two clocks that are right differ by minutes; one that was set by hand, by a time zone or a day. */
const FAR_SECONDS = 2 * 24 * 3600;
const DAY_SECONDS = 24 * 3600;
/** Without a relay's word: a circle that signed nothing for so long has a device that slept, or a clock that runs ahead. */
const SILENT_SECONDS = 400 * 24 * 3600;
/** The last that a date of this language can show. */
const LAST_SECONDS = 10 ** 11;
const ABOUT = "this device";

/** Seconds since 1970 that nothing known denies: the earlier of two clocks that differ. */
export function borneOut(session: CaseState): number {
  const own = session.around.clock();
  const witness = session.relayTime;
  if (witness !== null) return Math.abs(own - witness) <= FAR_SECONDS ? own : Math.min(own, witness);
  const signed = newestSigned(session);
  return signed === undefined || own <= signed + SILENT_SECONDS ? own : signed;
}

/** What others claimed in the charter, or its beginning; a clock that runs ahead does not bear itself out. */
function newestSigned({ entries, row }: CaseState): number | undefined {
  const times = entries
    .filter(({ outline }, at) => at === 0 || !row.device || !same(outline.by, row.device))
    .map(({ outline }) => outline.at);
  return times.length > 0 ? Math.max(...times) : undefined;
}

/** Whether this device's clock is days or years away from what is known. */
export function isOff(session: CaseState): boolean {
  const own = session.around.clock();
  const witness = session.relayTime;
  return witness !== null ? Math.abs(own - witness) > FAR_SECONDS : borneOut(session) !== own;
}

/**
 * The day that is signed under a change, counted from 1970; null where this clock is known to be off: a wrong day under a
 * person's name is worse than none, and the relay's day would be the relay's word.
 */
export function claimedDay(session: CaseState): number | null {
  const day = Math.floor(session.around.clock() / DAY_SECONDS);
  return day >= FIRST_DAY && day <= LAST_DAY && !isOff(session) ? day : null;
}

/** After a sync: people are told while the clock is off, and no longer. */
export function tell(session: CaseState): void {
  if (isOff(session)) session.alarm("clock", ABOUT);
  else session.store.dropAlarm(session.case, "clock", ABOUT);
}

/** Before a date is written that others go by. Throws Misuse `clock`. */
export function check(session: CaseState): void {
  if (!isOff(session)) return;
  const witness = session.relayTime ?? borneOut(session);
  const own = session.around.clock();
  throw new Misuse("clock", `this device says it is ${day(own)}, the others ${day(witness)}: set its clock`);
}

function day(seconds: number): string {
  return new Date(Math.min(seconds, LAST_SECONDS) * 1000).toISOString().replace(/T.*/, "");
}
