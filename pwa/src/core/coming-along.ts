/**
 * What a device does with the pages of its person's other devices, and asks of them: mirror of
 * core/eigenkring/coming_along.py. Spec: docs/spec/shelf.md.
 *
 * Every case keeps a connection and exchanges of its own; what goes from one to another goes over the shelf, sealed.
 */
import { DeviceKeys } from "../crypto/device";
import type { Case } from "./case";
import * as compose from "./charter/compose";
import { deviceId, type Keys } from "./charter/entry";
import { isHere } from "./charter/state";
import { EigenkringError, Misuse } from "./errors";
import type { Followed } from "./following";
import { type CaseId, type DeviceId, type Hex, hex, join, named, type PersonId, same, unhex } from "./ids";
import type { Device } from "./library";
import { relayAddress } from "./link";
import { removal } from "./own-devices";
import { authorOf, exchangeOf } from "./session/acting";
import { bytes, list, pack } from "./shape";
import {
  type Asked,
  byOf,
  factOf,
  type Given,
  goneBy,
  type Kept,
  MAX_ASKS,
  MAX_ROWS,
  type MemberId,
  type Page,
  type Wish,
  wishShape,
} from "./shelf";
import { NO_CASE, type Store, type StoredCase } from "./store";
import { readCap } from "./stream";
import { packPinned } from "./visiting";
import { isFailed, MAX_FRAME_BYTES } from "./wire";

/** Facts of no case: what this device asks for, who was put out of the shelf, and which device is whose. */
export const WISHES = "shelf wishes";
export const OUT = "shelf out";
const DEVICES = "shelf devices";

/** One look at the shelf: `pages` are the newest of every other device that belongs on it, by member in `signed`. */
export interface Round {
  readonly device: Device;
  readonly store: Store;
  kept: Kept;
  readonly keys: DeviceKeys;
  readonly me: MemberId;
  readonly followed: Followed;
  pages: Page[];
  readonly signed: ReadonlyMap<Hex, Uint8Array>;
  readonly mine: Page | undefined;
  readonly entered: StoredCase[];
}

const linesShape = list(bytes());
const wishesShape = list(wishShape);

export const listed = (store: Store, name: string): readonly Uint8Array[] =>
  factOf(store, name, linesShape) ?? [];

export function putListed(store: Store, name: string, lines: readonly Uint8Array[]): void {
  store.putFact(NO_CASE, name, lines.length > 0 ? pack(linesShape, lines) : null);
}

/** Which device is whose, also when a later page leaves it out: a thief would. Who says so first is believed. */
export function rememberDevices(store: Store, pages: readonly Page[]): void {
  const known = listed(store, DEVICES);
  const taken = new Set(known.map((line) => hex(line.slice(16))));
  const fresh: Uint8Array[] = [];
  for (const page of pages) {
    const said = [
      ...page.cases.map((row) => join(row.case, row.device)),
      ...page.asks.map((asked) => join(asked.case, deviceOf(asked))),
    ];
    for (const one of said) {
      if (taken.has(hex(one))) continue;
      taken.add(hex(one));
      fresh.push(join(byOf(page), one));
    }
  }
  if (fresh.length > 0) putListed(store, DEVICES, [...known, ...fresh]);
}

// --- doing what the others say

/** What was erased on another device goes here too, where it has ended: a word alone deletes nothing. */
export async function obey(now: Round): Promise<void> {
  const { store, device } = now;
  const gone = new Map(now.pages.flatMap((page) => page.gone.map((one) => [hex(one), one] as const)));
  for (const caseId of gone.values()) {
    const row = store.case(caseId);
    if (!row) continue;
    const lives = row.state === "open" || row.state === "entering";
    if (lives && !(await isClosed(device, row))) continue;
    await store.step(() => store.eraseCase(caseId));
    await store.tidy();
    device.forget(caseId);
  }
}

/** Whether the relay holds nothing of the case any more: where nobody else belonged, nobody was left to tell. */
async function isClosed(device: Device, row: StoredCase): Promise<boolean> {
  const one = await device.case(hex(row.case));
  const cap = one.session.charter && readCap(one.session.secrets(row.case));
  if (!cap) return false;
  const read = { op: "read", stream: row.case, cap, after: 0, max_bytes: MAX_FRAME_BYTES } as const;
  const result = await orNothing(async () => (await one.transport.exchange([read])).results[0]);
  return result !== undefined && isFailed(result) && result.code === "closed";
}

/** What cannot be done now is done at another sync. */
async function orNothing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EigenkringError) return undefined;
    throw error;
  }
}

function wishesOf(store: Store): Map<Hex, Wish> {
  return new Map((factOf(store, WISHES, wishesShape) ?? []).map((wish) => [hex(wish.case), wish]));
}

function keepWishes(store: Store, wishes: ReadonlyMap<Hex, Wish>): void {
  store.putFact(NO_CASE, WISHES, wishes.size > 0 ? pack(wishesShape, [...wishes.values()]) : null);
}

async function keysOf(seed: Uint8Array): Promise<{ readonly grown: DeviceKeys; readonly keys: Keys }> {
  const grown = await DeviceKeys.fromSeed(seed);
  return { grown, keys: { sign: grown.sign.public, box: grown.box.public } };
}

/** Cases that another device let this one into. */
export async function enter(now: Round): Promise<void> {
  const { store, device } = now;
  const wishes = wishesOf(store);
  for (const given of now.pages.flatMap((page) => page.gives)) {
    const wish = wishes.get(hex(given.case));
    if (!wish || isHereAs(store, given.case, wish.person)) continue;
    if (!same(deviceId(given.case, (await keysOf(wish.seed)).keys), given.device)) continue;
    const row: StoredCase = {
      case: given.case,
      relay: wish.relay,
      state: "entering",
      seed: wish.seed,
      incarnation: device.around.random(8),
      person: null,
      device: given.device,
      keysStream: given.keys,
      keysSecret: given.secret,
      joinedHead: given.head,
      link: null,
      title: "",
    };
    wishes.delete(hex(given.case));
    // Removed before, as somebody else: fresh keys, a fresh start.
    const before = store.case(given.case);
    await store.step(() => {
      if (before) store.eraseCase(given.case);
      store.putCase(row);
      store.putFact(given.case, "pinned", packPinned([[given.n, given.head]]));
      keepWishes(store, wishes);
    });
    if (before) await store.tidy();
    device.forget(given.case);
    now.entered.push(row);
  }
}

export async function openCases(device: Device): Promise<Case[]> {
  return (await device.cases()).filter(({ session }) => session.row.state === "open");
}

/** Who was put out of one case is put out of all, and of the shelf: it is one phone that was lost. */
export async function putOut(now: Round): Promise<void> {
  const { store, device } = now;
  const mine = new Map((await openCases(device)).map((one) => [hex(one.id), one]));
  const devices = new Map<Hex, { readonly one: Case; readonly id: DeviceId }[]>();
  for (const line of listed(store, DEVICES)) {
    const one = mine.get(hex(line.slice(16, 32)));
    const id = named<DeviceId>(line.slice(32));
    if (!one?.session.charter || same(id, one.session.device())) continue;
    const by = hex(line.slice(0, 16));
    devices.set(by, [...(devices.get(by) ?? []), { one, id }]);
  }
  const out = new Map(listed(store, OUT).map((by) => [hex(by), by]));
  for (const [by, known] of devices) {
    if (by !== hex(now.me) && known.some(({ one, id }) => wasPutOut(one, id))) {
      out.set(by, unhex(by));
    }
  }
  const inOrder = [...out].sort(([a], [b]) => (a < b ? -1 : 1));
  putListed(
    store,
    OUT,
    inOrder.map(([, by]) => by),
  );
  now.pages = now.pages.filter((page) => !out.has(hex(byOf(page))));
  const left = new Map<Hex, DeviceId[]>();
  for (const { one, id } of inOrder.flatMap(([by]) => devices.get(by) ?? [])) {
    const known = one.charter.devices.get(hex(id));
    if (known && isHere(known)) left.set(hex(one.id), [...(left.get(hex(one.id)) ?? []), id]);
  }
  await device.abreast([...left], async ([caseId, ids]) => {
    await orNothing(async () => mine.get(caseId)?.act((session) => removal(session, ids)));
  });
}

function wasPutOut(one: Case, id: DeviceId): boolean {
  const known = one.charter.devices.get(hex(id));
  return known !== undefined && same(known.person, one.session.me()) && !isHere(known);
}

/** The devices that asked: one entry in each case, over the connection of that case. */
export async function letIn(now: Round): Promise<void> {
  const todo: { readonly one: Case; readonly asked: Asked }[] = [];
  for (const one of await openCases(now.device)) {
    const { charter } = one.session;
    if (!charter) continue;
    for (const asked of now.pages.flatMap((page) => page.asks)) {
      if (same(asked.case, one.id) && !charter.devices.has(hex(deviceOf(asked)))) todo.push({ one, asked });
    }
  }
  await now.device.abreast(todo, async ({ one, asked }) => {
    const keys: Keys = { sign: asked.sign, box: asked.box };
    await orNothing(() =>
      one.act(async (to) =>
        exchangeOf(to, await compose.addDevice(to.known(), authorOf(to), keys, "", asked.add_sig)),
      ),
    );
  });
}

function deviceOf(asked: Asked): DeviceId {
  return deviceId(asked.case, { sign: asked.sign, box: asked.box });
}

/** Whether this device has that case, as that person. Who was removed and then invited anew is another person there. */
function isHereAs(store: Store, caseId: CaseId, person: PersonId): boolean {
  const known = store.case(caseId);
  return known !== undefined && (known.state !== "removed" || !known.person || same(known.person, person));
}

/** For what another device has and this one has not; the same keys until it is in. */
export async function asks(now: Round): Promise<Asked[]> {
  const { store } = now;
  const gone = new Map(goneBy(store).map((one) => [hex(one.case), one.person]));
  const before = wishesOf(store);
  const wishes = new Map<Hex, Wish>();
  for (const row of now.pages.flatMap((page) => page.cases)) {
    const id = hex(row.case);
    const as = gone.get(id);
    const isErased = as !== undefined && (as === null || same(as, row.person));
    if (isHereAs(store, row.case, row.person) || isErased || wishes.has(id)) continue;
    try {
      const kept = before.get(id);
      const seed = kept && same(kept.person, row.person) ? kept.seed : now.device.around.random(32);
      wishes.set(id, { case: row.case, relay: relayAddress(row.relay), person: row.person, seed });
    } catch (error) {
      if (!(error instanceof Misuse)) throw error;
    }
  }
  keepWishes(store, wishes);
  const found: Asked[] = [];
  const inOrder = [...wishes].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, MAX_ASKS);
  for (const [, wish] of inOrder) {
    const { grown, keys } = await keysOf(wish.seed);
    const addSig = await compose.signNewDevice(wish.case, wish.person, keys, grown.sign);
    found.push({ case: wish.case, sign: keys.sign, box: keys.box, add_sig: addSig });
  }
  return found;
}

export function gives(now: Round, cases: readonly Case[]): Given[] {
  const byCase = new Map(cases.map((one) => [hex(one.id), one]));
  const found: Given[] = [];
  for (const asked of now.pages.flatMap((page) => page.asks)) {
    const one = byCase.get(hex(asked.case));
    const charter = one?.session.charter;
    const known = charter?.devices.get(hex(deviceOf(asked)));
    if (!one || !charter || !known || !isHere(known) || !same(known.person, one.session.me())) continue;
    const { keysStream, keysSecret } = one.session.row;
    const head = charter.heads.get(known.sinceN);
    if (!keysStream || !keysSecret || !head) continue;
    found.push({
      case: one.id,
      device: known.device,
      keys: keysStream,
      secret: keysSecret,
      n: known.sinceN,
      head,
    });
  }
  return found.slice(0, MAX_ROWS);
}
