/** Words that go out at once, over a connection that stands anyway: no sync, nothing is read for them. */
import { hex, same } from "./ids";
import { pack } from "./session/packing";
import type { CaseSession } from "./session/parts";
import { appendRefused } from "./session/taking";
import { appends, exchanged } from "./sync";
import type { Transport } from "./transport";
import { type Append, isFailed, type Placed, type Result } from "./wire";

/**
 * Sends what waits for the parts, at once, over a connection that stands anyway. Each comes back like everybody's records, and
 * only then is it sent (`arrived`). Gives whether nothing is left for a sync to do. Throws Unreachable, Refused, RelayMisbehaved.
 */
export async function sendNow(session: CaseSession, live: Transport): Promise<boolean> {
  for (;;) {
    const waiting = await session.inTurn(async () => {
      if (session.row.state !== "open" || !session.charter) return undefined;
      await pack(session);
      const rest = session.store.outbox(session.case).filter(({ number }) => !session.claimed.has(number));
      // The founding of a case, an entry that is given back, a part without its key: a sync knows in which order.
      if (!rest.every(({ stream }) => stream && session.parts.has(hex(stream)))) return undefined;
      const found = await appends(session);
      for (const { number } of found) session.unsent.delete(number);
      return found.length > 0 || rest.length === 0 ? found : undefined;
    });
    if (!waiting) return false;
    if (waiting.length === 0) return true;
    const { results } = await exchanged(
      session,
      live,
      waiting.map(({ op }) => op),
      false,
    );
    if (!(await session.inTurn(() => answered(session, waiting, results)))) return false;
  }
}

/** What the relay says it did with each. Gives whether that fits what is here. */
async function answered(
  session: CaseSession,
  sent: readonly { readonly number: number; readonly op: Append }[],
  results: readonly Result[],
): Promise<boolean> {
  let fits = true;
  // A sync may have sent it too meanwhile, and its number may be another record's by now.
  const waits = new Map(session.store.outbox(session.case).map(({ number, record }) => [number, record]));
  await session.store.step(() => {
    for (const [at, { number, op }] of sent.entries()) {
      const result = results[at];
      const record = waits.get(number);
      const isHere = record !== undefined && record !== null && same(record, op.record);
      if (!result || isFailed(result) || !("chain" in result)) {
        if (isHere && result && isFailed(result)) appendRefused(session, number, op.stream, result);
        fits = false;
        continue;
      }
      const { length, chain } = result as Placed;
      const known = session.store.chainAt(session.case, op.stream, length);
      // It lies at another place than the one at which it came back here, or on another log.
      fits &&= known ? same(known, chain) && !isHere : length > session.position(op.stream).length;
      if (isHere && !known) session.claimed.set(number, { stream: op.stream, length, chain });
    }
  });
  return fits;
}
