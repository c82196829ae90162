/**
 * What a reader says, and the receipts of the reader's app, kept, sent, and confirmed by reading it back: mirror of
 * core/eigenkring/answering.py.
 */
import { readSecret, writeSecret } from "../crypto/capability";
import { DeviceKeys } from "../crypto/device";
import { Ended, Misuse, Refused, RelayMisbehaved } from "./errors";
import { follow } from "./following";
import type { CaseId } from "./ids";
import { hex } from "./ids";
import { alarmsOf, partsOf, stateOf } from "./receiving";
import { MAX_TEXT_BYTES, makeSaid, sizeOf, type What } from "./said";
import type { Clock, Random } from "./session/case";
import { pack, u64, unpack } from "./shape";
import type { Store, StoredGrant } from "./store";
import { appendCap, type StreamSecrets, sealRecord, startOf } from "./stream";
import type { Transport } from "./transport";

const MIN_PREFIX = 4;
/** Where what is answered lies in a view. */
const ANSWERED: Readonly<Partial<Record<What, readonly [part: string, collection: string]>>> = {
  answer: ["information", "questions"],
  answer_help: ["help", "requests"],
};

export interface Words {
  readonly text?: string;
  readonly why?: string;
  /** The pseudonym of what is answered, or the beginning of it. */
  readonly of?: string;
  /** Of a receipt: the version of the view. */
  readonly v?: number;
}

/**
 * Keeps something to be sent at the next refresh. Throws Ended when access was stopped, Misuse: `bad_value`,
 * `no_such_item` (an answer to what this reader is not shown), `ambiguous`.
 */
export async function say(
  store: Store,
  row: StoredGrant,
  what: What,
  clock: Clock,
  random: Random,
  { text = "", why = "", of = "", v = 0 }: Words,
): Promise<void> {
  partsOf(row);
  const about = ANSWERED[what] ? shown(row, ANSWERED[what], of) : "";
  if (what !== "opened" && what !== "copied" && !text.trim()) throw new Misuse("bad_value", "say something");
  if (Math.max(sizeOf(text), sizeOf(why)) > MAX_TEXT_BYTES) throw new Misuse("bad_value", "that is too long");
  const owner = alarmsOf(row.grant);
  const { up } = stateOf(row);
  const { length, chain } = store.position(owner, up) ?? startOf(up);
  // Above all that was said before, also by a store that was put back: the family passes over what does not rise.
  const n = Math.max(clock(), lastNumber(store, owner) + 1);
  // At once, before anything waits: what is said meanwhile must not have the same number.
  store.putFact(owner, "said", pack(u64, n));
  const { sign } = await DeviceKeys.fromSeed(row.seed);
  const payload = await makeSaid(sign, up, {
    grant: row.grant,
    n,
    length,
    chain,
    what,
    at: clock(),
    text: text.trim(),
    why: why.trim(),
    of: about,
    v,
  });
  const record = await sealRecord(upSecrets(row), payload, random(24));
  await store.step(() => store.addOutbox(owner, up, record));
}

function lastNumber(store: Store, owner: CaseId): number {
  const packed = store.fact(owner, "said");
  return packed ? unpack(u64, packed) : 0;
}

function shown(row: StoredGrant, [part, collection]: readonly [string, string], of: string): string {
  const items = [...(partsOf(row).get(part)?.get(collection)?.keys() ?? [])];
  const wanted = of.trim().toLowerCase();
  const whole = items.filter((item) => item === wanted);
  const found =
    whole.length > 0 ? whole : items.filter((item) => item.startsWith(wanted) && wanted.length >= MIN_PREFIX);
  const [only] = found;
  if (!only || found.length !== 1) {
    throw new Misuse(only ? "ambiguous" : "no_such_item", "that is not among what you may read");
  }
  return only;
}

/**
 * The receipt that this version was opened: once for each version at most. No receipt proves nothing: an app can be
 * offline, or changed.
 */
export async function openedOnce(
  store: Store,
  row: StoredGrant,
  clock: Clock,
  random: Random,
): Promise<boolean> {
  const owner = alarmsOf(row.grant);
  const told = store.fact(owner, "opened");
  if (row.status !== "open" || row.view.length === 0 || (told && unpack(u64, told) >= row.version))
    return false;
  store.putFact(owner, "opened", pack(u64, row.version));
  await say(store, row, "opened", clock, random, { v: row.version });
  return true;
}

/** What the reader can do on `up`: read and append, with the newest state's secret. */
export function upSecrets(row: StoredGrant): StreamSecrets {
  const { up: stream, secret, epoch } = stateOf(row);
  return {
    stream,
    read: { secret: readSecret(secret, stream), epoch },
    write: { secret: writeSecret(secret, stream), epoch },
  };
}

/**
 * Sends what waits. It is sent when it is read back, not when the relay says so. Gives how many arrived.
 *
 * Throws Unreachable; what the relay did wrong becomes an alarm of the grant.
 */
export async function exchangeWords(
  store: Store,
  row: StoredGrant,
  transport: Transport,
  clock: Clock,
): Promise<number> {
  if (row.status !== "open") return 0;
  try {
    const arrived = await readBack(store, row, transport, clock);
    const secrets = upSecrets(row);
    const cap = appendCap(secrets);
    const waiting = store.outbox(alarmsOf(row.grant)).flatMap(({ record }) => record ?? []);
    if (waiting.length === 0 || !cap) return arrived;
    await store.settled();
    const { stream } = secrets;
    await transport.exchange(waiting.map((record) => ({ op: "append", stream, cap, record, expect: null })));
    return arrived + (await readBack(store, row, transport, clock));
  } catch (error) {
    // Closed or turned in between: the next refresh knows which.
    if (error instanceof Ended || error instanceof Refused) return 0;
    if (!(error instanceof RelayMisbehaved)) throw error;
    store.putAlarm(alarmsOf(row.grant), { code: error.code, about: "up", at: clock() });
    return 0;
  }
}

async function readBack(store: Store, row: StoredGrant, transport: Transport, clock: Clock): Promise<number> {
  const owner = alarmsOf(row.grant);
  const followed = await follow({ store, owner, transport, clock }, upSecrets(row), "up");
  if (!followed) return 0;
  const there = new Set(followed.placed.map(({ record }) => hex(record)));
  const done = store.outbox(owner).filter(({ record }) => record && there.has(hex(record)));
  await store.step(() => {
    for (const { number } of done) store.dropOutbox(number);
    followed.keep();
  });
  return done.length;
}
