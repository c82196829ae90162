/**
 * What was typed between two syncs goes up as one record of each part: one signature, one padding, one row. Mirror of
 * core/eigenkring/session/packing.py.
 *
 * Also for who watches the wire: how many words somebody typed is then not how many records came.
 */
import { type Hex, hex, same } from "../ids";
import * as adopting from "./adopting";
import type { CaseSession, Unsent } from "./parts";

/**
 * Signs anew, as of now, own changes that wait in several records and cannot have been sent.
 *
 * A record that may have been sent keeps its bytes, because the relay knows it again by them. While words are held back
 * nothing is signed: it would be signed again when they go (`adopting.settle`).
 */
export async function pack(session: CaseSession): Promise<void> {
  const waiting = new Map<Hex, number[]>();
  for (const { number, stream, record } of session.store.outbox(session.case)) {
    const made = session.unsent.get(number);
    if (!stream || !record || !made || !same(made.record, record)) continue;
    // A record holds the changes of one actor, and so of one incarnation.
    if (same(made.incarnation, session.row.incarnation)) {
      waiting.set(hex(stream), [...(waiting.get(hex(stream)) ?? []), number]);
    }
  }
  const several = [...waiting].filter(([, numbers]) => numbers.length > 1);
  if (several.length === 0 || (await adopting.holdsBack(session))) return;
  for (const [stream, numbers] of several) {
    const opened = session.parts.get(stream);
    if (!opened || !session.known().mayWrite(session.me(), opened.part.name)) continue;
    const records: Unsent[] = [];
    for (const { day, changes } of byDay(numbers.map((number) => session.unsent.get(number)))) {
      records.push(...(await session.sealed(opened, changes, day)));
    }
    await session.store.step(() => {
      // Taken out first: the store may give a number that is free again to the new record.
      for (const number of numbers) {
        session.unsent.delete(number);
        session.store.dropOutbox(number);
      }
      session.queue(opened.part.stream, records);
    });
  }
}

/** A record claims one day, so it holds the changes of one. */
function byDay(made: readonly (Unsent | undefined)[]): { day: number | null; changes: Uint8Array[] }[] {
  const days: { day: number | null; changes: Uint8Array[] }[] = [];
  for (const one of made) {
    if (!one) continue;
    const last = days.at(-1);
    if (last && last.day === one.day) last.changes.push(...one.changes);
    else days.push({ day: one.day, changes: [...one.changes] });
  }
  return days;
}
