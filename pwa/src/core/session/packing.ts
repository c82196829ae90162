/**
 * What was typed between two syncs goes up as one record of each part: one signature, one padding, one row. Mirror of
 * core/eigenkring/session/packing.py.
 *
 * Also for who watches the wire: how many words somebody typed is then not how many records came.
 *
 * The first words of a part that wait are signed when they are made, because mostly they go at once, and a record that goes
 * was kept before. Those that join them lie in the outbox unsigned, as what they are, until all go together: the signature
 * over the newest vouches for the others, so one for each would be work for nothing.
 */
import { type Hex, hex, type StreamId, same } from "../ids";
import { changeHash } from "../part/author";
import * as adopting from "./adopting";
import type { CaseSession, Unsent } from "./parts";
import { unsigned, type Words } from "./words";

interface Waiting {
  readonly stream: StreamId;
  readonly numbers: number[];
  readonly words: Words[];
  isUnsigned: boolean;
}

/** What can be signed anew, by part and incarnation: a record holds the changes of one actor. */
function waitingIn(session: CaseSession): Waiting[] {
  const found = new Map<string, Waiting>();
  for (const item of session.store.outbox(session.case)) {
    const { number, stream, record } = item;
    if (!stream) continue;
    const made = session.unsent.get(number);
    const isMine = record && made && same(made.record, record);
    const words = isMine && same(made.incarnation, session.row.incarnation) ? made : unsigned(item);
    if (!words) continue;
    const key = `${hex(stream)} ${hex(words.incarnation)}`;
    const group = found.get(key) ?? { stream, numbers: [], words: [], isUnsigned: false };
    group.numbers.push(number);
    group.words.push(words);
    group.isUnsigned ||= !record;
    found.set(key, group);
  }
  return [...found.values()].filter(({ numbers, isUnsigned }) => isUnsigned || numbers.length > 1);
}

/** Whether words wait that are to be signed before they go. */
export async function waits(session: CaseSession): Promise<boolean> {
  const found = waitingIn(session).some(({ stream }) => session.maySign(stream));
  return found && !(await adopting.holdsBack(session));
}

/**
 * Signs, as of now, own changes that wait unsigned or in several records and cannot have been sent.
 *
 * A record that may have been sent keeps its bytes, because the relay knows it again by them. While words are held back
 * nothing is signed: it would be signed again when they go (`adopting.settle`).
 */
export async function pack(session: CaseSession): Promise<void> {
  const waiting = waitingIn(session);
  if (waiting.length === 0 || (await adopting.holdsBack(session))) return;
  for (const { stream, numbers, words } of waiting) {
    const opened = session.maySign(stream) ? await session.openedOf(stream) : undefined;
    if (!opened) continue;
    // What was refused meanwhile is made again, as other changes.
    const standing = new Set<Hex>(opened.fold.pendingHashes());
    const records: Unsent[] = [];
    for (const of of byDay(words)) {
      const changes = of.changes.filter((raw) => standing.has(hex(changeHash(raw))));
      if (changes.length > 0) records.push(...(await session.sealed(opened, { ...of, changes })));
    }
    await session.store.step(() => {
      // Taken out first: the store may give a number that is free again to the new record.
      for (const number of numbers) {
        session.unsent.delete(number);
        session.store.dropOutbox(number);
      }
      session.queue(records);
    });
  }
  for (const { stream } of waiting) if (session.maySign(stream)) session.unsigned.delete(hex(stream));
}

/** A record claims one day, so it holds the changes of one. */
function byDay(words: readonly Words[]): Words[] {
  const days: (Words & { readonly changes: Uint8Array[] })[] = [];
  for (const { incarnation, day, changes } of words) {
    const last = days.at(-1);
    if (last && last.day === day) last.changes.push(...changes);
    else days.push({ incarnation, day, changes: [...changes] });
  }
  return days;
}
