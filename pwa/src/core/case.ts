/** One case, as the app or a program uses it: mirror of core/eigenkring/case.py. */
import { carry } from "./carrying";
import * as compose from "./charter/compose";
import type { Role } from "./charter/entry";
import type { Charter, Person } from "./charter/state";
import * as deciding from "./deciding";
import { type Document, type Fields, kindOf, pathOf } from "./document";
import { Ended, Misuse, Unreachable } from "./errors";
import { attachFile, type Fetched, fetchFile, type NewFile } from "./filing";
import { forget } from "./forgetting";
import { Gathering } from "./gathering";
import type { Given } from "./giving";
import * as giving from "./giving";
import { type CaseId, type GrantId, hex, type PersonId, same } from "./ids";
import * as letting from "./letting";
import * as parting from "./parting";
import { noteReceipts } from "./receipts";
import { partName } from "./schema";
import { sendNow } from "./sending";
import { authorOf, cutsFor, type Exchange, exchangeOf } from "./session/acting";
import * as attachments from "./session/attachments";
import type { CaseSession } from "./session/parts";
import type { Pushed } from "./session/pushed";
import { type EntryLine, entryLines } from "./story";
import { act, SyncReport, syncCase } from "./sync";
import type { Transport } from "./transport";
import { Turn } from "./turn";
import { type Choice, type Projection, parseSelection, type Selection } from "./view";
import * as waiting from "./waiting";

const MIN_PREFIX = 4;

/** What one person can see and do in one case. Every reading method shows what this device has now; `sync` gets more. */
export class Case {
  private readonly conversation = new Turn();
  private readonly sending = new Turn();
  private readonly gathering: Gathering;

  constructor(
    readonly session: CaseSession,
    readonly transport: Transport,
  ) {
    this.gathering = new Gathering(session, (work) => this.alone(work));
  }

  get id(): CaseId {
    return this.session.case;
  }

  get charter(): Charter {
    if (this.session.row.state === "removed") {
      throw new Ended("removed", "you do not belong to this case any more");
    }
    return this.session.known();
  }

  // --- sync

  /** Sends and receives. Throws Unreachable. */
  sync(): Promise<SyncReport> {
    return this.alone(async () => {
      const report = await syncCase(this.session, this.transport);
      if (await this.session.inTurn(() => noteReceipts(this.session))) {
        report.add(await syncCase(this.session, this.transport));
      }
      await carry(this.session, this.transport, report);
      return report;
    });
  }

  /** What cannot be sent now waits. */
  async syncQuietly(): Promise<void> {
    try {
      await this.sync();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
  }

  /** An act on the charter. Throws Unreachable: who belongs is decided with the relay there to order it. */
  async act(make: (now: CaseSession) => Promise<Exchange>): Promise<Exchange> {
    void this.charter;
    return this.alone(() => act(this.session, this.transport, make, new SyncReport()));
  }

  /**
   * A record as the relay pushed it. Gives whether nothing is left for a sync to look at. What comes while a sync reads waits
   * for its end, and is mostly known by then; an own word that comes back waits a moment for others.
   */
  hear(pushed: Pushed): Promise<boolean> {
    return this.gathering.hear(pushed);
  }

  /**
   * Sends what waits over a live connection, without reading. Gives whether nothing is left for a sync to do. Beside a sync:
   * what both send is the same bytes, and lies there once. Throws Unreachable, Refused, RelayMisbehaved.
   */
  send(live: Transport): Promise<boolean> {
    return this.sending.take(async () => {
      const isAll = await sendNow(this.session, live);
      return isAll && attachments.unsent(this.session) === 0;
    });
  }

  /** One conversation with the relay at a time: two would read the same records twice. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    return this.conversation.take(() => this.session.stand().then(work));
  }

  // --- people

  /** Who belongs now. */
  people(): Person[] {
    return this.charter.present();
  }

  /** A person by id, the beginning of it, or name. Throws Misuse: `no_such_person`, `ambiguous`. */
  person(text: string): PersonId {
    const wanted = text.trim().toLowerCase();
    const here = this.charter.present();
    let found = here.filter(({ person }) => hex(person) === wanted);
    if (found.length === 0) found = here.filter(({ name }) => name.toLowerCase() === wanted);
    if (found.length === 0 && wanted.length >= MIN_PREFIX) {
      found = here.filter(({ person }) => hex(person).startsWith(wanted));
    }
    const [only] = found;
    if (!only) throw new Misuse("no_such_person", "nobody here is called that");
    if (found.length > 1) throw new Misuse("ambiguous", "more than one person is called that; use the id");
    return only.person;
  }

  /** A link that works once. Throws Misuse: `use_grant` for a professional, `bad_argument`. */
  invite(role: Role | "professional", name = "", compare = false, days = 14): Promise<string> {
    if (role === "professional") {
      throw new Misuse(
        "use_grant",
        "a professional is not in the circle: use `grant` to let them read chosen parts",
      );
    }
    return giving.invite(this.session, (make) => this.act(make), { role, name: name.trim(), compare, days });
  }

  /** Takes a link back that nobody used, to the circle or to a view: it works no more. Gives the name. */
  cancel(name: string): Promise<string> {
    return waiting.cancel(this.session, (make) => this.act(make), name);
  }

  /** Takes a person out: nothing they write counts, and they read nothing that comes after. */
  async remove(who: string): Promise<PersonId> {
    const person = this.person(who);
    if (same(person, this.session.me())) throw new Misuse("bad_argument", "to go yourself, use `leave`");
    const whyNot = deciding.mustBeAsked(this.session, "remove_person", person);
    if (whyNot) throw new Misuse("not_permitted", whyNot);
    await this.act(async (now) => {
      const cuts = await cutsFor(now, [person]);
      return exchangeOf(now, await compose.removePerson(now.known(), authorOf(now), person, cuts));
    });
    return person;
  }

  /** Gives a person another role, or an end date (a day, which still counts). Stepping back oneself needs nobody. */
  async setRole(who: string, role: Role, until?: string): Promise<number | null> {
    return deciding.setRole(this.session, (make) => this.act(make), this.person(who), role, until);
  }

  /** As the coordinator who started: from now on the family decides. */
  async handOver(who: string): Promise<void> {
    return deciding.handOver(this.session, (make) => this.act(make), this.person(who));
  }

  /**
   * What the relay shows beside, and lacks of, the decisions known here. Throws Misuse `not_yet` where it shows the same.
   */
  async parted(): Promise<parting.Told> {
    void this.charter;
    await this.syncQuietly();
    return this.session.inTurn(() => parting.told(this.session));
  }

  /**
   * As an owner: goes on with the decisions that the relay shows. Who was removed, and access that was stopped, is removed
   * and stopped again; `owed` is what others must still enter. Throws Misuse: `not_yet`, `not_permitted`.
   */
  async adopt(): ReturnType<typeof parting.adopt> {
    void this.charter;
    await this.sync();
    return this.alone(() => parting.adopt(this.session, () => syncCase(this.session, this.transport)));
  }

  /** One more person reads a part: one's own page or number, or as an owner the plan. Theirs is what was there too. */
  letIn(part: string, who: string): Promise<void> {
    const name = this.fullName(part);
    return letting.letIn(this.session, (make) => this.act(make), name, this.person(who));
  }

  /** Who was let in reads no more of what comes. What was read stays known. */
  letOut(part: string, who: string): Promise<void> {
    const name = this.fullName(part);
    return letting.letOut(this.session, (make) => this.act(make), name, this.person(who));
  }

  /** Asks the others for what one person cannot decide alone: `role`, `remove`, `readmit`, `close`. */
  async propose(what: string, who?: string, role?: string): Promise<deciding.Decision> {
    const person = who === undefined ? undefined : this.person(who);
    void this.charter;
    return deciding.propose(this.session, (make) => this.act(make), this.transport, { what, person, role });
  }

  /** Says yes to what another one asked. The last yes does it. */
  async approve(who?: string): Promise<deciding.Decision> {
    const person = who === undefined ? undefined : this.person(who);
    void this.charter;
    return deciding.approve(this.session, (make) => this.act(make), this.transport, person);
  }

  /** What was asked and still can be answered. */
  async asked(): Promise<deciding.Decision[]> {
    void this.charter;
    return deciding.asked(this.session);
  }

  /** A link for a sole owner who lost everything, when enough members agreed. */
  readmit(who: string, days = 14): Promise<string> {
    return deciding.readmit(this.session, (make) => this.act(make), this.person(who), days);
  }

  /** Somebody of the circle who has no device. Gives the id to use in fields such as `for` and `who`. */
  addWithoutPhone(name: string, standIn: string): Promise<string> {
    return deciding.withoutPhone(this.session, name, this.person(standIn));
  }

  /** Those who have no device and are heard through another. */
  withoutPhone(): deciding.HeardThroughOthers[] {
    void this.charter;
    return deciding.heardThroughOthers(this.session);
  }

  /** Go. What you wrote stays with the circle. */
  async leave(): Promise<void> {
    await this.act(async (now) => exchangeOf(now, await compose.leave(now.known(), authorOf(now))));
    await this.session.store.step(() => this.session.putRow({ state: "removed" }));
  }

  pending(): Promise<waiting.Waiting[]> {
    void this.charter;
    return waiting.pending(this.session);
  }

  /** The four words are the same on both sides: give the keys. */
  confirm(name: string): Promise<PersonId | GrantId> {
    return waiting.confirm(this.session, name, () => this.sync());
  }

  /** Every decision about who belongs and who may read. */
  log(): EntryLine[] {
    return entryLines(this.charter, this.session.entries);
  }

  /** Who reads a part now, and which of them write. */
  readers(part: string): { readonly person: Person; readonly writes: boolean }[] {
    const known = this.charter.parts.get(this.fullName(part));
    if (!known) throw new Misuse("no_such_part", `there is no part ${part} here`);
    const writers = this.charter.audience(known.write);
    return [...this.charter.audience(known.read)]
      .sort()
      .flatMap((id) => this.charter.people.get(id) ?? [])
      .map((person) => ({ person, writes: writers.has(hex(person.person)) }));
  }

  // --- parts

  /** `kind` or `kind@PERSON` as the charter calls it; one's own where a part about a person names nobody. */
  fullName(part: string): string {
    void this.charter; // who was put out reads and writes no more here
    const [kind = "", who] = part.trim().split("@", 2);
    if (who !== undefined) return partName(kind, this.anyPerson(who));
    const known = this.session.around.schema.kinds.get(kind);
    return known?.aboutPerson ? partName(kind, this.session.me()) : kind;
  }

  /** Also one who left: their parts are still there to read. */
  private anyPerson(text: string): PersonId {
    return this.charter.people.get(text.toLowerCase())?.person ?? this.person(text);
  }

  /** One part. */
  show(part: string): Document {
    return this.session.read(this.session.part(this.fullName(part)));
  }

  /** All that this device reads, by part. */
  showAll(): Map<string, Document> {
    const found = new Map<string, Document>();
    for (const [name, { stream }] of this.charter.parts) {
      const opened = this.session.parts.get(hex(stream));
      if (opened) found.set(name, this.session.read(opened));
    }
    return found;
  }

  /** Adds an item. Gives its id. Throws Misuse: `no_such_part`, `no_such_collection`, `bad_value`. */
  async add(part: string, collection: string, fields: Fields): Promise<string> {
    const name = this.fullName(part);
    const kind = kindOf(name);
    const { schema, random } = this.session.around;
    this.session.part(name);
    if (schema.collection(kind, collection)?.single) {
      throw new Misuse("bad_path", `${collection} is one item: use \`set\` on ${collection}/${collection}`);
    }
    const given = new Map(fields instanceof Map ? fields : Object.entries(fields));
    schema.validateFields(kind, collection, given);
    const item = hex(random(10));
    const whole = new Map([...schema.newItem(kind, collection), ...given]);
    // As an object: it is kept as JSON, to be made again where it must.
    await this.edit(name, [["add", collection, item, Object.fromEntries(whole)]]);
    return item;
  }

  /** Changes a field; on text the smallest splice. */
  async set(part: string, path: string, value: unknown): Promise<void> {
    const name = this.fullName(part);
    const kind = kindOf(name);
    const { schema } = this.session.around;
    const [collection, item, field] = pathOf(path, 3) as [string, string, string];
    const opened = this.session.part(name);
    schema.validateFields(kind, collection, [[field, value]]);
    const set = ["set", [collection, item, field], value] as const;
    const isMissing =
      schema.collection(kind, collection)?.single && !this.session.read(opened).get(collection)?.size;
    if (!isMissing) return this.edit(name, [set]);
    const fresh = Object.fromEntries(schema.newItem(kind, collection));
    return this.edit(name, [["add", collection, collection, fresh], set]);
  }

  /** Deletes an item or a field. The words stay in the part's history for its readers. */
  async delete(part: string, path: string): Promise<void> {
    const size = path.split("/").length === 2 ? 2 : 3;
    return this.edit(this.fullName(part), [["delete", pathOf(path, size)]]);
  }

  /**
   * Founds a part anew from what it shows now: what was deleted, and who wrote what, is gone at the relay at once and on every
   * device when it next syncs. Gives the part's full name. Throws Misuse: `not_permitted`, `not_yet`.
   */
  async forget(part: string): Promise<string> {
    const name = this.fullName(part);
    await forget(this, name);
    return name;
  }

  /**
   * Puts a photo or file at `collection/item` (or `collection/item/field`); sent at the next sync. Of a picture only the picture
   * is kept. Throws Misuse: `bad_attachment`, `bad_path`, `no_such_item`, `not_permitted`.
   */
  attach(part: string, path: string, file: NewFile): Promise<void> {
    const name = this.fullName(part);
    return this.session.inTurn(() => attachFile(this.session, name, path, file));
  }

  /**
   * The bytes of a photo or file: those this device has, or from the relay. Throws Unreachable, Misuse: `not_yet`,
   * `no_such_field`; Refused `closed` where it was taken away; Inadmissible `bad_attachment`.
   */
  fetch(part: string, path: string): Promise<Fetched> {
    const name = this.fullName(part);
    return this.alone(() => fetchFile(this.session, this.transport, name, path));
  }

  private async edit(name: string, intents: Parameters<CaseSession["edit"]>[1]): Promise<void> {
    await this.session.inTurn(() => attachments.edit(this.session, name, intents));
    // The turn is over before the disk answers, and what is written meanwhile goes to the disk together.
    await this.session.store.settled();
  }

  /** The device that founds a part makes its single items, so that no two devices make them at once. */
  async makeSingletons(): Promise<void> {
    const { schema } = this.session.around;
    for (const opened of [...this.session.parts.values()]) {
      const { name, kind } = opened.part;
      const known = schema.kinds.get(kind);
      if (!known || !this.session.known().mayWrite(this.session.me(), name)) continue;
      const here = this.session.read(opened);
      for (const [collection, { single }] of known.collections) {
        if (!single || here.get(collection)?.size) continue;
        const fresh = Object.fromEntries(schema.newItem(kind, collection));
        await this.edit(name, [["add", collection, collection, fresh]]);
      }
    }
  }

  // --- access

  /** What to show, from what a person typed. Throws Misuse. */
  selection(choice: Choice): Selection {
    const naming = choice.naming?.map((text) => this.personOrText(text));
    const parts = choice.parts?.map((part) => this.fullName(part));
    return parseSelection(this.session.around.schema, this.session.me(), {
      ...choice,
      ...(parts && { parts }),
      ...(naming && { naming }),
    });
  }

  private personOrText(text: string): string {
    try {
      return hex(this.person(text));
    } catch (error) {
      if (!(error instanceof Misuse)) throw error;
      return text;
    }
  }

  /** Lets somebody outside the circle read. `until` is a day (2026-12-31), which still counts. */
  grant(to: string, purpose: string, until: string, selection: Selection, compare = false): Promise<Given> {
    void this.charter;
    const given = { to: to.trim(), purpose: purpose.trim(), until, selection, compare };
    return giving.grant(this.session, (make) => this.act(make), given);
  }

  /** Stops access: deleted at the relay, the reader's app drops its copy. What was seen stays seen. */
  withdraw(text: string): Promise<void> {
    return giving.withdraw(this.session, (make) => this.act(make), this.grantId(text));
  }

  grantId(text: string): GrantId {
    const wanted = text.trim().toLowerCase();
    const found = [...this.charter.grants].filter(([id]) => id.startsWith(wanted));
    const [only] = wanted.length >= MIN_PREFIX ? found : [];
    if (!only) throw new Misuse("no_such_grant", "no access with that number was given here");
    if (found.length > 1) throw new Misuse("ambiguous", "more than one access begins like that");
    return only[1].grant;
  }

  /** Exactly what a reader of this selection would see now. */
  preview(selection: Selection): Projection {
    void this.charter;
    return giving.preview(this.session, selection, this.session.around.random(32));
  }
}
