/**
 * The list of cases, kept in step between a person's own devices: mirror of core/eigenkring/shelving.py. Spec:
 * docs/spec/shelf.md.
 *
 * Each sync reads what the others say, does what they ask for, and says what is here. Each step may be interrupted and
 * done again. The shelf has a connection of its own, and each case keeps its own.
 */

import { DeviceKeys } from "../crypto/device";
import { BadKey } from "../crypto/errors";
import {
  asks,
  enter,
  gives,
  letIn,
  listed,
  OUT,
  obey,
  openCases,
  putOut,
  type Round,
  rememberDevices,
  WISHES,
} from "./coming-along";
import { Ended, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type Followed, follow } from "./following";
import { type CaseId, type Hex, hex, named, same } from "./ids";
import type { Device } from "./library";
import { held } from "./session/acting";
import { bytes, list, pack, struct, unpack } from "./shape";
import {
  byOf,
  factOf,
  goneBy,
  type Kept,
  keep,
  keptBy,
  MAX_PAGES,
  MAX_ROWS,
  type MemberId,
  makePage,
  makeRecord,
  memberOf,
  type Next,
  OFFERED,
  openNext,
  openPage,
  openRecord,
  type Page,
  type Row,
  type Shelf,
  type SignedPage,
  sealNext,
  shelfSecrets,
  shelfShape,
  shelfStream,
} from "./shelf";
import { NO_CASE, type Store, type StoredCase } from "./store";
import { appendCap, manageCap, opening } from "./stream";
import type { SyncReport } from "./sync";
import { isFailed, type Operation } from "./wire";

const MAX_ROUNDS = 6;
// Facts of no case.
const NEXT = "shelf next";
const BEFORE = "shelf before";
/** A fact of the shelf's own stream: the newest page of every other device. */
const PAGES = "pages";

/** A shelf that was left, and who still has to read there where it goes on. */
const beforeShape = struct({ shelf: shelfShape, waiting: list(bytes<MemberId>(16)) });
const pagesShape = list(bytes());
const EMPTY = new Uint8Array();

/** Brings this device's list of cases in step with the person's other devices. Offline, the next sync does it. */
export async function keepInStep(device: Device, report: SyncReport): Promise<void> {
  const { store } = device;
  await takeOffer(device);
  const entered: StoredCase[] = [];
  const first = keptBy(store);
  const about = first && ownerOf(first.shelf);
  try {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const kept = keptBy(store);
      if (!kept || !(await once(device, kept, entered))) break;
    }
  } catch (error) {
    const isFault = error instanceof Refused || error instanceof RelayMisbehaved || error instanceof Ended;
    if (isFault && !(await leaveBehind(device)) && about) {
      store.putAlarm(about, { code: error.code, about: "shelf", at: device.around.clock() });
    } else if (!isFault && !(error instanceof Unreachable)) throw error;
  }
  if (about) report.alarms.push(...store.alarms(about).map((one) => ({ ...one, about: "shelf" })));
  await store.settled();
  await device.abreast(entered, (row) => device.syncOne(row, report));
}

/** Gives whether there is more to do. */
async function once(device: Device, kept: Kept, entered: StoredCase[]): Promise<boolean> {
  const now = await look(device, kept, entered);
  const further = await nextOf(now);
  if (further) {
    await goOn(now, further);
    return true;
  }
  await tidyBefore(now);
  await obey(now);
  await enter(now);
  await putOut(now);
  await letIn(now);
  if (isAloneAfterAll(now)) {
    await leave(now);
    return false;
  }
  return say(now);
}

// --- reading

/** What is kept of a shelf lies under its own id: it is no case of this device. */
const ownerOf = (shelf: Shelf): CaseId => named<CaseId>(shelfStream(shelf));

async function look(device: Device, before: Kept, entered: StoredCase[]): Promise<Round> {
  const { store } = device;
  const { shelf } = before;
  const secrets = shelfSecrets(shelf);
  const { stream } = secrets;
  const followed = await followOrOpen(device, shelf);
  const signed = await knownPages(store, shelf);
  const keys = await DeviceKeys.fromSeed(before.seed);
  const me = memberOf(keys.sign.public, keys.box.public);
  let kept = before;
  let mine: Page | undefined;
  for (const { record } of followed.placed) {
    for (const [by, one] of await openRecord(shelf, record)) {
      if (by === hex(me)) {
        mine = one.page;
        // A store that was put back has numbers behind what it said.
        kept = { ...kept, page: one.signed, n: Math.max(kept.n, one.page.n) };
      } else if ((signed.get(by)?.page.n ?? -1) < one.page.n) {
        checkSeen(device, followed, one.page);
        signed.set(by, one);
      }
    }
  }
  if (!mine && followed.whole) kept = { ...kept, page: EMPTY }; // the relay forgot it, or never had it
  // Nothing new: what was said still lies there.
  const stays = !mine && followed.placed.length === 0 && kept.page.length > 0;
  const out = new Set(listed(store, OUT).map(hex));
  const inOrder = [...signed].sort(([a], [b]) => (a < b ? -1 : 1));
  const pages = inOrder.filter(([by]) => !out.has(by)).map(([, { page }]) => page);
  await store.step(() => {
    const all = inOrder.map(([, one]) => one.signed);
    store.putFact(ownerOf(shelf), PAGES, pack(pagesShape, all));
    followed.keep();
    if (mine || followed.whole) keep(store, kept);
    rememberDevices(store, pages);
  });
  if (stays) mine = await openPage(stream, kept.page);
  return {
    device,
    store,
    kept,
    keys,
    me,
    followed,
    pages,
    signed: new Map(inOrder.map(([by, one]) => [by, one.signed])),
    mine,
    entered,
  };
}

async function followOrOpen(device: Device, shelf: Shelf): Promise<Followed> {
  const secrets = shelfSecrets(shelf);
  const transport = device.transport(secrets.stream, shelf.relay);
  const reading = { store: device.store, owner: ownerOf(shelf), transport, clock: device.around.clock };
  let followed: Followed | undefined;
  try {
    followed = await follow(reading, secrets, "shelf");
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    // Not there yet; or closed by whoever was on it, which stays an alarm.
    const [result] = (await transport.exchange([opening(shelfSecrets(shelf))])).results;
    if (!result || isFailed(result)) throw new Refused(result?.code ?? "not_done");
    followed = await follow(reading, secrets, "shelf");
  }
  if (!followed) throw new Refused("not_allowed");
  return followed;
}

async function knownPages(store: Store, shelf: Shelf): Promise<Map<Hex, SignedPage>> {
  const packed = store.fact(ownerOf(shelf), PAGES);
  const found = new Map<Hex, SignedPage>();
  for (const signed of packed ? unpack(pagesShape, packed) : []) {
    const page = await openPage(shelfStream(shelf), signed);
    if (page) found.set(hex(byOf(page)), { page, signed });
  }
  return found;
}

/** Told, and nobody is kept out by it: another device was shown another log, or this one was. */
function checkSeen(device: Device, { store, owner, secrets }: Followed, page: Page): void {
  const known = store.chainAt(owner, secrets.stream, page.length);
  if (known && !same(known, page.chain)) {
    store.putAlarm(owner, { code: "forked", about: "shelf", at: device.around.clock() });
  }
}

// --- another shelf

const isSame = (one: Shelf, other: Shelf): boolean =>
  one.relay === other.relay && same(one.secret, other.secret);

/** Whoever was let in goes to the shelf of who did it, and takes along who was on the own one. */
async function takeOffer(device: Device): Promise<void> {
  const { store } = device;
  const offered = factOf(store, OFFERED, shelfShape);
  if (!offered) return;
  const kept = keptBy(store);
  const seed = device.around.random(32);
  await store.step(() => {
    store.putFact(NO_CASE, OFFERED, null);
    if (!kept) keep(store, { shelf: offered, seed, n: 0, page: EMPTY });
    else if (!isSame(kept.shelf, offered)) store.putFact(NO_CASE, NEXT, pack(shelfShape, offered));
  });
}

/** Where this shelf goes on, by a device that was not put out; the own word counts as well. */
async function nextOf(now: Round): Promise<Shelf | undefined> {
  const said = [...(now.mine ? [now.mine] : []), ...now.pages];
  const { shelf } = now.kept;
  for (const page of said.sort((a, b) => (hex(byOf(a)) < hex(byOf(b)) ? -1 : 1))) {
    const found = await openNext(shelfStream(shelf), page, now.me, now.keys.box);
    if (found && !isSame(found, shelf)) return found;
  }
  return undefined;
}

async function goOn(now: Round, shelf: Shelf): Promise<void> {
  const { store, kept } = now;
  const before = pack(beforeShape, { shelf: kept.shelf, waiting: now.pages.map(byOf) });
  // Who was let in elsewhere is new there, and was perhaps put out under the old name; who follows is the same one.
  const invited = store.fact(NO_CASE, NEXT) !== undefined && !hasPutOut(now);
  const seed = invited ? now.device.around.random(32) : kept.seed;
  await store.step(() => {
    store.putFact(NO_CASE, BEFORE, before);
    store.putFact(NO_CASE, NEXT, null);
    keep(store, { shelf, seed, n: kept.n, page: EMPTY });
    store.eraseCase(ownerOf(kept.shelf));
  });
}

/** Whether somebody who was put out can read this shelf. */
const hasPutOut = (now: Round): boolean => listed(now.store, OUT).some((by) => now.signed.has(hex(by)));

/** The own shelf is no more, and another one was offered. */
async function leaveBehind(device: Device): Promise<boolean> {
  const { store } = device;
  const next = factOf(store, NEXT, shelfShape);
  const kept = keptBy(store);
  if (!next || !kept) return false;
  const seed = device.around.random(32);
  await store.step(() => {
    store.putFact(NO_CASE, NEXT, null);
    store.eraseCase(ownerOf(kept.shelf));
    keep(store, { shelf: next, seed, n: 0, page: EMPTY });
  });
  return true;
}

/** Closes the shelf that was left, once everybody who belongs on this one is here. */
async function tidyBefore(now: Round): Promise<void> {
  const before = factOf(now.store, BEFORE, beforeShape);
  if (!before) return;
  const here = new Set([...now.pages.map((page) => hex(byOf(page))), ...listed(now.store, OUT).map(hex)]);
  if (!before.waiting.every((by) => here.has(hex(by)))) return;
  await close(now.device, before.shelf);
  now.store.putFact(NO_CASE, BEFORE, null);
}

async function close(device: Device, shelf: Shelf): Promise<void> {
  const secrets = shelfSecrets(shelf);
  const cap = held(manageCap(secrets));
  await device
    .transport(secrets.stream, shelf.relay)
    .exchange([{ op: "close", stream: secrets.stream, cap }]);
}

/** All others were put out: what this device would say is for nobody. */
const isAloneAfterAll = (now: Round): boolean => now.pages.length === 0 && hasPutOut(now);

async function leave({ device, store, kept }: Round): Promise<void> {
  await close(device, kept.shelf);
  await store.step(() => {
    for (const name of [WISHES, NEXT, BEFORE]) store.putFact(NO_CASE, name, null);
    keep(store, null);
    store.eraseCase(ownerOf(kept.shelf));
  });
}

// --- saying what is here

/** Writes the own page where it says something new, beside the newest of the others. Gives whether to look again. */
async function say(now: Round): Promise<boolean> {
  const { store, mine, kept, device } = now;
  const page = await pageOf(now);
  if (mine && mine.n === kept.n && isSameContent(mine, page)) return false;
  const { shelf } = kept;
  const secrets = shelfSecrets(shelf);
  const { stream } = secrets;
  const signed = await makePage(stream, page, now.keys);
  keep(store, { ...kept, n: page.n, page: EMPTY }); // it lies there once it was read there
  await store.settled();
  // Of who was put out last: too many pages would make a record that nobody takes.
  const here = new Set(now.pages.map((one) => hex(byOf(one))));
  const others = [...now.signed]
    .sort(([a], [b]) => Number(here.has(b)) - Number(here.has(a)) || (a < b ? -1 : 1))
    .map(([, one]) => one)
    .slice(0, MAX_PAGES - 1);
  const record = await makeRecord(shelf, [signed, ...others], device.around.random(24));
  const { length, chain: expect } = now.followed.position;
  const op: Operation =
    length === 0
      ? { op: "append", stream, cap: held(appendCap(secrets)), record, expect }
      : { op: "replace", stream, cap: held(manageCap(secrets)), record, expect };
  const [result] = (await device.transport(stream, shelf.relay).exchange([op])).results;
  const failed = !result || isFailed(result);
  if (failed && result?.code !== "conflict") throw new Refused(result?.code ?? "not_done");
  return failed || page.next.length > 0;
}

/** Whether two pages say the same. The boxes differ each time: to whom they are is what counts. */
const isSameContent = (one: Page, other: Page): boolean => contentOf(one) === contentOf(other);

function contentOf({ cases, gone, asks: asked, gives: given, next }: Page): string {
  const plain = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? hex(value) : value);
  return JSON.stringify([cases, gone, asked, given, next.map(({ to }) => to)], plain);
}

async function pageOf(now: Round): Promise<Page> {
  const { store, kept, keys } = now;
  const cases = await openCases(now.device);
  const rows: Row[] = cases
    .filter(({ session }) => session.charter !== undefined)
    .sort((a, b) => (hex(a.id) < hex(b.id) ? -1 : 1))
    .map(({ id, session }) => ({
      case: id,
      relay: session.row.relay,
      person: session.me(),
      device: session.device(),
    }));
  const { length, chain } = now.followed.position;
  const here = new Set(store.cases().map((row) => hex(row.case)));
  return {
    sign: keys.sign.public,
    box: keys.box.public,
    n: kept.n + 1,
    length,
    chain,
    cases: rows.slice(0, MAX_ROWS),
    gone: goneBy(store).flatMap((one) => (here.has(hex(one.case)) ? [] : [one.case])),
    asks: await asks(now),
    gives: gives(now, cases),
    next: await nexts(now),
  };
}

/** Where to go on, for all who belong: somebody was put out, or this device was let in elsewhere. */
async function nexts(now: Round): Promise<Next[]> {
  const { store } = now;
  let shelf = factOf(store, NEXT, shelfShape);
  if (!shelf && !hasPutOut(now)) return [];
  if (!shelf) {
    shelf = { relay: now.kept.shelf.relay, secret: now.device.around.random(32) };
    store.putFact(NO_CASE, NEXT, pack(shelfShape, shelf));
  }
  const found: Next[] = [];
  const all = [
    { by: now.me, box: now.keys.box.public },
    ...now.pages.map((page) => ({ by: byOf(page), box: page.box })),
  ];
  for (const { by, box } of all) {
    try {
      found.push(await sealNext(shelfStream(now.kept.shelf), by, box, shelf));
    } catch (error) {
      if (!(error instanceof BadKey)) throw error; // keys that are no keys: that one stays behind
    }
  }
  return found;
}
