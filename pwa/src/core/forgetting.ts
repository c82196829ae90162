/** A part founded anew because a person asks for it: the half of core/eigenkring/case.py (`forget`) that needs a relay. */
import type { Case } from "./case";
import { Misuse, Refused } from "./errors";
import { same } from "./ids";
import { check, foundAnew } from "./session/forgetting";
import * as preparing from "./session/preparing";
import { isFailed } from "./wire";

/** Throws Misuse: `not_permitted`, `not_yet`; what is not yet is done at a later sync, by itself. */
export async function forget(one: Case, name: string): Promise<void> {
  const stream = () => one.charter.parts.get(name)?.stream;
  const before = stream();
  await one.sync();
  const now = stream();
  if (before && now && !same(before, now)) return; // as was asked for earlier, or by another device
  if (now && preparing.needsBlank(one.session, name)) {
    check(one.session, name);
    const ops = await one.session.inTurn(() => preparing.want(one.session, name));
    const { results } = ops.length > 0 ? await one.transport.exchange(ops) : { results: [] };
    for (const result of results) if (isFailed(result)) throw new Refused(result.code);
    throw new Misuse(
      "not_yet",
      "an owner's phone prepares it at its next sync; then it is done at yours, by itself",
    );
  }
  await one.act((session) => foundAnew(session, name, preparing.blanksOf(session)));
  await one.syncQuietly();
}
