/**
 * The library: open a device, start or join a case, read, write, share. Mirror of core/eigenkring/library.py. The app's
 * engine is a thin layer over this, and Node runs it as it is.
 */
import * as chains from "../crypto/chain";
import { DeviceKeys } from "../crypto/device";
import { AT_ONCE, abreast } from "./abreast";
import { exchangeWords, openedOnce, say, type Words } from "./answering";
import { Case } from "./case";
import { found } from "./charter/compose";
import type { Draft } from "./charter/draft";
import { deviceId, signEntry } from "./charter/entry";
import { fold } from "./charter/rules";
import type { Charter } from "./charter/state";
import { Engine } from "./crdt";
import type { Greeting } from "./doorstep";
import { Ended, Inadmissible, Misuse, Unreachable } from "./errors";
import { type CaseId, type Chain, type GrantId, type Hex, hex, named, same } from "./ids";
import { sealBags } from "./keys";
import { parseLink, relayAddress } from "./link";
import * as movingOut from "./moving-out";
import * as onward from "./onward";
import { acceptLink, alarmsOf, partsOf, refresh } from "./receiving";
import { keepInStep } from "./recovery";
import { Keyring } from "./rooms";
import type { What } from "./said";
import { loadSchema } from "./schema";
import { bagsOf, held, openOp, ringWith, secretsAfter } from "./session/acting";
import type { Clock, Random, Surroundings } from "./session/case";
import { CaseSession } from "./session/parts";
import * as shelving from "./shelving";
import { RECOVERING } from "./sleeping";
import type { Store, StoredCase, StoredGrant } from "./store";
import { appendCap, sealRecord, startOf } from "./stream";
import { packFounding, SyncReport } from "./sync";
import { NoRelayHere, NoTransport, type Transport } from "./transport";
import { Turn } from "./turn";
import type { Projection } from "./view";
import * as visiting from "./visiting";
import { warm } from "./warming";
import type { Append } from "./wire";

export { Case } from "./case";
export { SyncReport } from "./sync";

const MIN_PREFIX = 4;
const RELAY_PATIENCE_MS = 3_000;
const now: Clock = () => Math.floor(Date.now() / 1000);
const fresh: Random = (size) => crypto.getRandomValues(new Uint8Array(size));

export interface DeviceOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Loads the engine's program; absent: it is loaded. */
  readonly engineReady?: () => Promise<void>;
}

/**
 * The founder's own box. Else the secrets of the first epoch lie in this one store only, and whoever loses it loses the case:
 * no other device was ever given them.
 */
async function ownBag(after: Charter, draft: Draft, keys: DeviceKeys, random: Random): Promise<Append> {
  const { keysStream: stream } = after;
  const { keysSecret } = draft;
  const [device] = after.devices.values();
  if (!keysSecret || !device) throw new Error("a founder without the secret of the keys");
  const seen = { length: 0, chain: startOf(stream).chain };
  const sender = { by: device.device, key: keys.sign, keysSecret, seen, random };
  const payload = await sealBags(after, sender, bagsOf(draft));
  const ring = ringWith(new Keyring(keysSecret), draft);
  const secrets = { ...secretsAfter(after, ring, stream), read: { secret: keysSecret, epoch: 0 } };
  const record = await sealRecord(secrets, payload, random(24));
  return { op: "append", stream, cap: held(appendCap(secrets)), record, expect: null };
}

/** One person's device: the cases it belongs to and the views it may read. */
export class Device {
  readonly around: Surroundings;
  private readonly transports = new Map<string, Transport>();
  private readonly opening = new Map<Hex, Promise<Case>>();
  private readonly open = new Map<Hex, Case>();
  private readonly paperwork = new Turn();
  /** One refresh at a time: two at once could keep the older of two views. */
  private readonly refreshing = new Turn();
  private readonly stocktaking = new Turn();

  constructor(
    readonly store: Store,
    private readonly transportFor: (relay: string) => Transport,
    { clock = now, random = fresh, engineReady = async () => {} }: DeviceOptions = {},
  ) {
    this.around = {
      schema: loadSchema(),
      newEngine: (actor) => new Engine(actor),
      loadEngine: (saved, actor) => Engine.load(saved, actor),
      engineReady,
      // A clock before 1970 has no number here; its second day leaves room for an hour before. It is told (`clocks`).
      clock: () => Math.max(86_400, clock()),
      random,
    };
  }

  /**
   * One transport for each case and each grant: the relay must not see which belong together. At each relay: what an older
   * paper or link names lies where it says.
   */
  transport(owner: Uint8Array, relay: string): Transport {
    const at = `${hex(owner)} ${relay}`;
    const known = this.transports.get(at);
    if (known) return known;
    const made = this.transportFor(relay);
    this.transports.set(at, made);
    return made;
  }

  /** One thing with the recovery code at a time. Not inside itself: it would wait for itself for ever. */
  onPaper<T>(work: () => Promise<T>): Promise<T> {
    return this.paperwork.take(work);
  }

  // --- links

  /** What a link says before anybody answers it. The relay sees that somebody looks, and not who. */
  async greet(text: string): Promise<Greeting> {
    const link = parseLink(text);
    const door = await visiting.lookAtDoor(link, this.transport(link.doorstep, link.relay));
    return door.greeting;
  }

  // --- cases

  /**
   * Starts a case. Works offline: what it makes is sent at the first sync. `also` is kept in the very step in which the case
   * begins to be. Throws `bad_argument`.
   */
  async start(
    title: string,
    relay: string,
    name: string,
    role: "owner" | "coordinator" = "owner",
    also: (made: CaseId) => void = () => {},
  ): Promise<Case> {
    if (!title.trim() || !name.trim()) {
      throw new Misuse("bad_argument", "a case has a title, and you have a name");
    }
    const { random, clock, schema } = this.around;
    const address = relayAddress(relay);
    await this.askForARelay(address);
    const caseId = named<CaseId>(random(16));
    const seed = random(32);
    const keys = await DeviceKeys.fromSeed(seed);
    const publicKeys = { sign: keys.sign.public, box: keys.box.public };
    const device = deviceId(caseId, publicKeys);
    const first = named<Chain>(chains.first(caseId));
    const keyring = new Keyring();
    const draft = found(
      { device, keyring, chain: first, at: clock(), random, schema },
      {
        caseId,
        title: title.trim(),
        name: name.trim(),
        role,
        keys: publicKeys,
        kinds: schema.partsAtFounding(role),
        ownKinds: schema.partsAbout(role),
      },
    );
    const payload = await signEntry(draft.body, keys.sign);
    const after = await fold(undefined, payload, caseId, first, schema);
    const secrets = secretsAfter(after, ringWith(new Keyring(draft.keysSecret), draft), caseId);
    const record = await sealRecord(secrets, payload, random(24));
    const cap = appendCap(secrets);
    if (!cap) throw new Error("a founder without the room of everyone");
    const founding = packFounding(draft.opens.map(openOp), [
      { op: "append", stream: caseId, cap, record, expect: first },
      await ownBag(after, draft, keys, random),
    ]);
    const row: StoredCase = {
      case: caseId,
      relay: address,
      state: "open",
      seed,
      incarnation: random(8),
      person: after.founder,
      device,
      keysStream: after.keysStream,
      keysSecret: draft.keysSecret ?? null,
      joinedHead: null,
      link: null,
      title: after.title,
    };
    const chain = named<Chain>(chains.extend(first, record));
    await this.store.step(() => {
      this.store.putCase(row);
      this.store.putRoomSecrets(caseId, draft.newSecrets);
      this.store.putRecords(caseId, caseId, { base: 0, length: 1, chain }, [{ index: 1, record, chain }]);
      this.store.addOutbox(caseId, null, null, founding);
      also(caseId);
    });
    const one = await this.caseOf(row);
    await one.makeSingletons();
    return one;
  }

  /**
   * Offline is normal; another program at that address is a mistake in it. Throws Misuse `bad_argument`. Who cannot be reached in
   * a moment is not waited for: nothing that a person begins waits for the network.
   */
  private async askForARelay(address: string): Promise<void> {
    const ask = async (): Promise<unknown> => {
      try {
        await this.transportFor(address).exchange([]);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), RELAY_PATIENCE_MS);
    });
    const found = await Promise.race([ask(), patience]);
    clearTimeout(timer);
    if (found instanceof NoRelayHere) {
      throw new Misuse(
        "bad_argument",
        "something answers at that address, but no relay: check it to the last letter",
      );
    }
  }

  /**
   * A new case from the present state of an old one, without one person, who is told nothing; and invitations for the others.
   * Throws Misuse: `not_permitted`, `bad_argument`, `no_such_person`.
   */
  async goOn(
    text: string,
    without: string,
    title: string,
    name?: string,
  ): Promise<{ readonly one: Case; readonly invited: readonly onward.Invited[] }> {
    const old = await this.case(text);
    await old.syncQuietly();
    const person = old.person(without);
    onward.check(old, person);
    const mine = old.charter.people.get(hex(old.session.me()))?.name ?? "";
    const one = await this.start(title, old.session.row.relay, name ?? mine);
    await one.syncQuietly();
    return { one, invited: await onward.goOn(old, one, person) };
  }

  /** Follows an invitation. The case can be read when a device of the circle has synced, and this one after it. */
  async join(text: string, name: string): Promise<CaseId> {
    if (!name.trim()) {
      throw new Misuse("bad_argument", "say your name, so that the circle knows who comes");
    }
    const link = parseLink(text);
    const transport = this.transport(link.doorstep, link.relay);
    const caseId = await visiting.join(this.store, text, name.trim(), transport, this.around.random);
    this.forget(caseId); // the keys are other ones than those of an earlier visit
    void warm(this.around.engineReady);
    return caseId;
  }

  /** A case by its id or the beginning of it. Throws Misuse: `no_such_case`, `ambiguous`. */
  async case(text: string): Promise<Case> {
    const wanted = text.trim().toLowerCase();
    const rows = this.rows().filter((row) => hex(row.case).startsWith(wanted));
    const [only] = wanted.length >= MIN_PREFIX ? rows : [];
    if (!only) throw new Misuse("no_such_case", "this device knows no such case");
    if (rows.length > 1) throw new Misuse("ambiguous", "more than one case begins like that");
    return this.caseOf(only);
  }

  /**
   * What is kept of each case. One on its way back from paper, or in by an address, is nobody's yet: this home still is what
   * slept there, which does nothing for others.
   */
  rows(): StoredCase[] {
    return this.store.cases().filter((row) => !this.store.fact(row.case, RECOVERING));
  }

  async cases(): Promise<Case[]> {
    const found: Case[] = [];
    for (const row of this.rows()) found.push(await this.caseOf(row));
    return found;
  }

  /** A case that was read before; undefined for one that was not. */
  opened(caseId: CaseId): Case | undefined {
    return this.open.get(hex(caseId));
  }

  /** All cases that were opened, and what they showed so far stands on their records from here on (`Store.whole`). */
  async stand(): Promise<void> {
    await this.store.whole();
    for (const opening of [...this.opening.values()]) {
      const one = await opening.catch(() => undefined);
      await one?.session.stand();
    }
  }

  /** Read this case anew from the store: another device of the person took its place there. */
  forget(caseId: CaseId): void {
    this.opening.delete(hex(caseId));
    this.open.delete(hex(caseId));
  }

  private caseOf(row: StoredCase): Promise<Case> {
    const id = hex(row.case);
    const known = this.opening.get(id);
    if (known) return known;
    const opening = CaseSession.open(this.store, row, this.around).then((session) => {
      const one = new Case(session, this.transport(row.case, row.relay));
      this.open.set(id, one);
      return one;
    });
    this.opening.set(id, opening);
    // A failure is not kept: the next call tries again.
    opening.catch(() => this.forget(row.case));
    return opening;
  }

  // --- views

  /** As a professional: follows the link of a family. */
  async accept(text: string, name: string): Promise<GrantId> {
    if (!name.trim()) throw new Misuse("bad_argument", "say your name, so that the family knows who reads");
    const link = parseLink(text);
    const transport = this.transport(link.doorstep, link.relay);
    return acceptLink(this.store, text, name.trim(), transport, this.around.random);
  }

  views(): StoredGrant[] {
    return this.store.grants();
  }

  /** A view by its id or the beginning of it. Past its last day it is dropped, offline too. */
  async grantRow(text: string): Promise<StoredGrant> {
    const wanted = text.trim().toLowerCase();
    const rows = this.store.grants().filter((row) => hex(row.grant).startsWith(wanted));
    const [only] = wanted.length >= MIN_PREFIX ? rows : [];
    if (!only || rows.length > 1) {
      throw new Misuse(only ? "ambiguous" : "no_such_grant", "this device knows no such view");
    }
    const isOver = this.around.clock() >= only.until && (only.status === "waiting" || only.status === "open");
    return isOver ? refresh(this.store, only, new NoTransport(), this.around.clock) : only;
  }

  /** The projection by part, as last received. Throws Ended when access was stopped. */
  async view(text: string): Promise<Projection> {
    return partsOf(await this.grantRow(text));
  }

  /**
   * Says something to a family; sent at the next sync. Throws Ended, Misuse: `bad_value`, `no_such_item`, `ambiguous`.
   */
  async say(text: string, what: What, words: Words): Promise<void> {
    const row = await this.grantRow(text);
    await say(this.store, row, what, this.around.clock, this.around.random, words);
  }

  /** The family is told, once for each version, that a person opened the view. Gives whether there was anything to tell. */
  async tellOpened(text: string): Promise<boolean> {
    const row = await this.grantRow(text);
    return openedOnce(this.store, row, this.around.clock, this.around.random);
  }

  // --- sync

  private async refresh(grant: GrantId, report: SyncReport): Promise<void> {
    const row = this.store.grants().find((one) => same(one.grant, grant));
    if (!row) return;
    const transport = this.transport(row.grant, row.relay);
    const { clock } = this.around;
    const after = await refresh(this.store, row, transport, clock);
    if (after.version !== row.version) report.received += 1;
    report.sent += await exchangeWords(this.store, after, transport, clock);
  }

  /** Asks for one view. Throws Unreachable. */
  async syncView(grant: GrantId): Promise<SyncReport> {
    const report = new SyncReport();
    await this.refreshing.take(() => this.refresh(grant, report));
    report.alarms.push(...this.store.alarms(alarmsOf(grant)));
    return report;
  }

  /** Syncs one case, or all cases and views. Throws Unreachable where not even one relay answered. */
  async sync(text?: string): Promise<SyncReport> {
    if (text !== undefined) return (await this.case(text)).sync();
    const report = new SyncReport();
    const rows = this.rows().filter(({ state }) => state !== "closed");
    const faults = await this.abreast(rows, (row) => this.syncOne(row, report));
    await keepInStep(this);
    await movingOut.endAddresses(this);
    await this.stocktaking.take(() => shelving.keepInStep(this, report));
    const grants = this.store.grants();
    faults.push(...(await this.abreast(grants, ({ grant }) => this.syncOneView(grant, report))));
    const failed = faults.findLast((fault) => fault !== undefined);
    if (failed && faults.every((fault) => fault !== undefined)) throw failed;
    return report;
  }

  /** `work` for each; while one waits for its relay the others go on. */
  abreast<A, B>(what: readonly A[], work: (one: A) => Promise<B>): Promise<B[]> {
    return abreast(AT_ONCE, what, work);
  }

  /** One of several cases: what stood in its way, or undefined. */
  syncOne(row: StoredCase, report: SyncReport): Promise<Error | undefined> {
    return this.attempt(async () => report.add(await (await this.caseOf(row)).sync()));
  }

  private async syncOneView(grant: GrantId, report: SyncReport): Promise<Error | undefined> {
    const fault = await this.attempt(() => this.refreshing.take(() => this.refresh(grant, report)));
    report.alarms.push(...this.store.alarms(alarmsOf(grant)));
    return fault;
  }

  /** One door that stays shut must not keep the other cases from syncing. */
  private async attempt(work: () => Promise<void>): Promise<Error | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      const isShut = error instanceof Ended || error instanceof Inadmissible;
      if (!(error instanceof Unreachable || isShut)) throw error;
      return error;
    }
  }
}
