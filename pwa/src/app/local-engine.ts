/**
 * The engine behind the screens, on the device itself: every verb is a thin call of the library (core/library). It runs in a
 * worker of the leading tab; `connect` brings it to the page.
 */
import type { Case } from "../core/case";
import { OWN_DEVICE, VIEW } from "../core/doorstep";
import { goAway } from "../core/erasing";
import { EigenkringError, Unreachable } from "../core/errors";
import { MOVE } from "../core/hall";
import { type CaseId, type GrantId, hex, type PersonId, same } from "../core/ids";
import { parseLink } from "../core/link";
import { lookInside } from "../core/moving-in";
import { history } from "../core/part/history";
import { alarmsOf, wordsOf } from "../core/receiving";
import { ownWords } from "../core/session/comparing";
import { termsOf } from "../core/session/doors";
import type { GrantStatus, Alarm as StoredAlarm, StoredGrant } from "../core/store";
import { changeLines } from "../core/story";
import { accessOf } from "./access-line";
import { logEntry } from "./deciding-engine";
import type {
  Access,
  Alarm,
  CaseInfo,
  ChangeLine,
  Collections,
  Engine,
  FetchedFile,
  Fields,
  Greeting,
  LogEntry,
  NewFile,
  Parts,
  Pending,
  Person,
  Reader,
  Role,
  Selection,
  Status,
  SyncReport,
  Value,
  View,
  ViewInfo,
} from "./engine";
import { collectionsOf, dayOf, fieldsFrom, isoOf, partsOf, selectionFrom, valueFrom } from "./plain";
import { ReportsEngine } from "./reports-engine";

/** Kept of a case in which this person wrote with this device. */
const CONTRIBUTED = "contributed";

export class LocalEngine extends ReportsEngine implements Engine {
  private synced: number | null = null;

  // --- links

  async greet(link: string): Promise<Greeting> {
    if (parseLink(this.allowed(link)).kind === MOVE) {
      const { name, until } = await lookInside(this.device, this.allowed(link));
      return { kind: "move", from: "", name, role: null, expires: dayOf(until), compare: false };
    }
    const greeting = await this.device.greet(this.allowed(link));
    return {
      kind: greeting.kind === VIEW ? "grant" : greeting.kind === OWN_DEVICE ? "device" : "invite",
      from: greeting.from,
      name: greeting.name,
      role: greeting.role === "" ? null : (greeting.role as Role),
      expires: dayOf(greeting.expires),
      compare: greeting.compare,
    };
  }

  // --- cases

  async start(title: string, name: string, relay?: string): Promise<string> {
    const one = await this.device.start(title, this.relay(relay), name);
    this.changed(one, null);
    return hex(one.id);
  }

  async join(link: string, name: string): Promise<string> {
    const id = hex(await this.device.join(this.allowed(link), name));
    this.wrote({ case: id, part: null });
    return id;
  }

  async accept(link: string, name: string): Promise<string> {
    const id = hex(await this.device.accept(this.allowed(link), name));
    this.wrote({ case: null, part: null });
    return id;
  }

  async cases(): Promise<CaseInfo[]> {
    const found: CaseInfo[] = [];
    for (const { session } of await this.device.cases()) {
      const { state, title, person, link } = session.row;
      const isWaiting = state === "waiting" || state === "entering";
      found.push({
        case: hex(session.case),
        title,
        role: (person && session.charter?.people.get(hex(person))?.role) || "member",
        state: isWaiting ? "waiting" : state === "open" ? "open" : "ended",
        closed: state === "closed",
        from: isWaiting ? title : null,
        own: isWaiting && link !== null && parseLink(link).kind === OWN_DEVICE,
        words: (isWaiting && ownWords(session.store, session.case)) || null,
        unsent: this.unsentOf(session.case),
        contributed: session.store.fact(session.case, CONTRIBUTED) !== undefined,
      });
    }
    return found;
  }

  // --- people

  async people(case_: string): Promise<Person[]> {
    const one = await this.device.case(case_);
    return one.people().map(({ person, name, role }) => ({
      person: hex(person),
      name,
      role,
      me: isMe(one, person),
    }));
  }

  async invite(case_: string, role: Role, name: string, compare = false): Promise<string> {
    return this.write(case_, null, (one) => one.invite(role, name, compare));
  }

  async confirm(case_: string, name: string): Promise<void> {
    await this.write(case_, null, (one) => one.confirm(name));
  }

  async remove(case_: string, person: string): Promise<void> {
    await this.write(case_, null, (one) => one.remove(person));
  }

  async leave(case_: string): Promise<void> {
    await this.write(case_, null, async (one) => {
      await goAway(one);
      this.device.forget(one.id);
    });
  }

  async pending(case_: string): Promise<Pending[]> {
    const one = await this.device.case(case_);
    const waiting = (await one.pending()).filter(({ what }) => what !== "may read");
    const found = waiting.map(
      ({ what, name, role, expires, compare, own, words }): Pending => ({
        kind: what === "invited" ? "invited" : compare ? "words" : "knock",
        name,
        role,
        own,
        words: words && [...words],
        expires: expires === null ? null : dayOf(expires),
      }),
    );
    const isDue = one.charter.dueRooms(one.session.me()).length > 0;
    const turn: Pending = { kind: "turn", name: "", role: null, own: false, words: null, expires: null };
    return isDue ? [...found, turn] : found;
  }

  async log(case_: string): Promise<LogEntry[]> {
    return (await this.device.case(case_)).log().map(logEntry);
  }

  async history(case_: string, part: string): Promise<ChangeLine[]> {
    const one = await this.device.case(case_);
    const { part: of, fold } = await one.session.opened(one.session.part(one.fullName(part)));
    const lines = changeLines(one.charter, one.session.kind(of), history(fold.ledger.entries));
    return lines.map(({ told, ...line }) => ({
      ...line,
      told: told.map((one) => ({ ...one, fields: [...one.fields] })),
    }));
  }

  // --- parts

  async show(case_: string): Promise<Parts>;
  async show(case_: string, part: string): Promise<Collections>;
  async show(case_: string, part?: string): Promise<Parts | Collections> {
    const one = await this.device.case(case_);
    return part === undefined ? partsOf(one.showAll(), true) : collectionsOf(one.show(part), true);
  }

  async add(case_: string, part: string, collection: string, fields: Fields): Promise<string> {
    return this.contribute(case_, part, (one) => one.add(part, collection, fieldsFrom(fields)));
  }

  async attach(case_: string, part: string, path: string, file: NewFile): Promise<void> {
    await this.contribute(case_, part, (one) => one.attach(part, path, file));
  }

  async fetch(case_: string, part: string, path: string): Promise<FetchedFile> {
    return (await this.device.case(case_)).fetch(part, path);
  }

  async set(case_: string, part: string, path: string, value: Value): Promise<void> {
    await this.contribute(case_, part, (one) => one.set(part, path, valueFrom(value)));
  }

  async delete(case_: string, part: string, path: string): Promise<void> {
    await this.contribute(case_, part, (one) => one.delete(part, path));
  }

  /** Writes words of this person. From the first on there is something of theirs to keep. */
  private contribute<T>(case_: string, part: string, work: (one: Case) => Promise<T>): Promise<T> {
    return this.write(case_, part, async (one) => {
      const done = await work(one);
      const { store } = one.session;
      if (!store.fact(one.id, CONTRIBUTED)) store.putFact(one.id, CONTRIBUTED, new Uint8Array(1));
      return done;
    });
  }

  async readers(case_: string, part: string): Promise<Reader[]> {
    const one = await this.device.case(case_);
    const name = one.fullName(part);
    const found: Reader[] = one.readers(part).map(({ person, writes }) => ({
      person: hex(person.person),
      name: person.name,
      role: person.role,
      me: isMe(one, person.person),
      writes,
      until: null,
      grant: null,
    }));
    for (const grant of one.charter.grants.values()) {
      const terms = grant.endedN === null ? await termsOf(one.session, grant) : undefined;
      if (!terms?.selection.parts.has(name) || this.device.around.clock() >= grant.until) continue;
      found.push({
        person: hex(grant.grant),
        name: terms.to,
        role: "professional",
        me: false,
        writes: false,
        until: dayOf(grant.until),
        grant: hex(grant.grant),
      });
    }
    return found;
  }

  // --- access

  async preview(case_: string, selection: Selection): Promise<Parts> {
    const one = await this.device.case(case_);
    return partsOf(one.preview(selectionFrom(selection)), false);
  }

  async grant(
    case_: string,
    to: string,
    purpose: string,
    until: string,
    selection: Selection,
    compare = false,
  ): Promise<{ grant: string; link: string }> {
    return this.write(case_, null, async (one) => {
      const given = await one.grant(to, purpose, until, selectionFrom(selection), compare);
      return { grant: hex(given.grant), link: given.link };
    });
  }

  async withdraw(case_: string, grant: string): Promise<void> {
    await this.write(case_, null, (one) => one.withdraw(grant));
  }

  async access(case_: string): Promise<Access[]> {
    const one = await this.device.case(case_);
    const found: Access[] = [];
    for (const grant of one.charter.grants.values()) found.push(await accessOf(one, grant));
    return found.reverse();
  }

  // --- views

  async views(): Promise<ViewInfo[]> {
    return this.device.views().map((row) => this.viewInfo(row));
  }

  async view(grant: string): Promise<View> {
    const row = await this.device.grantRow(grant);
    const info = this.viewInfo(row);
    const isShown = info.state === "open" && row.view.length > 0;
    return { ...info, parts: isShown ? partsOf(await this.device.view(grant), false) : {} };
  }

  private viewInfo(row: StoredGrant): ViewInfo {
    const updated = this.device.store.fact(alarmsOf(row.grant), "updated");
    return {
      grant: hex(row.grant),
      from: row.sender,
      to: row.name,
      until: dayOf(row.until),
      state: row.status === "open" && row.view.length === 0 ? "waiting" : VIEW_STATES[row.status],
      words: wordsOf(this.device.store, row) ?? null,
      updated: updated ? new TextDecoder().decode(updated) : null,
    };
  }

  // --- sync

  async sync(case_?: string): Promise<SyncReport> {
    const report = await this.asking(case_ ?? null, () => this.device.sync(case_));
    if (case_ === undefined) {
      for (const { grant } of this.device.views()) this.markView(grant);
    }
    return { sent: report.sent, received: report.received, alarms: await this.alarms() };
  }

  /** What others wrote came by itself. */
  heard(case_: string): void {
    this.online = true;
    this.synced = this.device.around.clock();
    this.tell({ case: case_, part: null });
  }

  /** What waited went out over the connection that stands: nothing to read again. */
  sent(case_: string): void {
    this.online = true;
    this.tell({ case: case_, part: null, only: "status" });
  }

  /** Something came for one view. */
  async lookAgain(grant: string): Promise<void> {
    const row = await this.device.grantRow(grant);
    await this.asking(null, () => this.device.syncView(row.grant));
    this.markView(row.grant);
  }

  private async asking<T>(case_: string | null, work: () => Promise<T>): Promise<T> {
    try {
      const found = await work();
      this.online = true;
      this.synced = this.device.around.clock();
      return found;
    } catch (error) {
      if (error instanceof Unreachable) this.online = false;
      throw error;
    } finally {
      this.tell({ case: case_, part: null });
    }
  }

  /** Says when an answer about a view last came. */
  private markView(grant: GrantId): void {
    const moment = new TextEncoder().encode(isoOf(this.device.around.clock()));
    this.device.store.putFact(alarmsOf(grant), "updated", moment);
  }

  async status(): Promise<Status> {
    const alarms = await this.alarms();
    return {
      online: this.online,
      unsent: this.unsent(),
      synced: this.synced === null ? null : isoOf(this.synced),
      alarms,
    };
  }

  private async alarms(): Promise<Alarm[]> {
    const { store } = this.device;
    const owners = [
      ...store.cases().map((row): [CaseId, string | null] => [row.case, hex(row.case)]),
      ...store.grants().map((row): [CaseId, string | null] => [alarmsOf(row.grant), null]),
    ];
    const found: Alarm[] = [];
    for (const [owner, of] of owners) {
      for (const alarm of store.alarms(owner)) {
        found.push({ code: alarm.code, case: of, name: await this.nameIn(of, alarm) });
      }
    }
    return found;
  }

  /** Whom an alarm is about: it names a device, people have names. The case may not have been opened yet, at the start. */
  private async nameIn(of: string | null, { about }: StoredAlarm): Promise<string | null> {
    const device = /device ([0-9a-f]{32})/.exec(about)?.[1];
    if (!device || !of) return null;
    try {
      const { charter } = (await this.device.case(of)).session;
      const known = charter?.devices.get(device);
      return (known && charter?.people.get(hex(known.person))?.name) || null;
    } catch (error) {
      // The alarm matters more than whom it names.
      if (error instanceof EigenkringError) return null;
      throw error;
    }
  }
}

const VIEW_STATES: Readonly<Record<GrantStatus, ViewInfo["state"]>> = {
  waiting: "waiting",
  open: "open",
  withdrawn: "stopped",
  ended: "ended",
  link_used: "ended",
  link_expired: "ended",
};

function isMe(one: Case, person: PersonId): boolean {
  return one.session.row.person !== null && same(one.session.row.person, person);
}
