/**
 * An engine in memory, with the fixture family of core/eigenkring/demo.py: to develop and to look at screens.
 * Only rehearse.ts uses it; the shipped build holds neither (index.html starts main.ts).
 */
import { KINDS, members, splitPart } from "../ui/schema";
import type { Decision } from "./deciding";
import type * as E from "./engine";
import { Failure } from "./engine";
import { ATTACHMENT } from "./photo";
import { family, ID, type World } from "./rehearsal-family";
import { RehearsalReports } from "./rehearsal-reports";

export interface Scene {
  /** Whose phone: a first name, or `new` for a phone on which there is nothing yet. */
  as: string;
  name:
    | "full"
    | "empty"
    | "offline"
    | "error"
    | "stuck"
    | "long"
    | "waiting"
    | "words"
    | "alarms"
    | "stopped"
    | "over"
    | "two"
    | "three"
    | "locked"
    | "torn"
    | "damaged";
}

const RELAY = "https://kring.example/";
const secret = (kind: string): string => `${RELAY}#${kind}${"Q7x_mK2pVt-9sLw4".repeat(7)}`;

export class Rehearsal extends RehearsalReports implements E.Engine, E.Lock {
  #world: World;
  #scene: Scene;
  #listeners = new Set<(change: E.Change) => void>();
  #counter = 100;
  #files = new Map<string, E.FetchedFile>();

  constructor(scene: Scene) {
    super(scene.name === "empty");
    this.#scene = scene;
    this.#world = family(scene);
    this.isTorn = scene.name === "torn";
    if (scene.name === "damaged") this.lost = ["case", "view", "words", "rest"];
    if (scene.name === "locked") {
      this.shut();
    }
  }

  #changed(part: string | null = null): void {
    if (this.#scene.name === "offline") this.#world.unsent++;
    for (const tell of this.#listeners) tell({ case: ID, part, unsent: this.#world.unsent });
  }
  #me(): E.Person {
    const me = this.#world.people.find((one) => one.me);
    if (!me) throw new Failure("no_such_case");
    return me;
  }
  #may(roles: readonly string[], part: string, who: E.Person): boolean {
    if (roles.includes("let_in") && this.letInTo.get(part)?.has(who.person)) return true;
    return roles.includes(who.role) || (roles.includes("self") && splitPart(part).about === who.person);
  }
  #rule(part: string): (typeof KINDS)[number] {
    const rule = KINDS.find((one) => one.kind === splitPart(part).kind);
    if (!rule) throw new Failure("no_such_part");
    return rule;
  }
  #items(part: string, collection: string): E.Items {
    const collections = this.#world.parts[part] ?? {};
    const items = collections[collection] ?? {};
    this.#world.parts[part] = { ...collections, [collection]: items };
    return items;
  }
  async greet(link: string): Promise<E.Greeting> {
    const kind = link.split("#")[1] ?? "";
    if (kind.startsWith("Used") || kind.startsWith("AQRUsed")) throw new Failure("link_used");
    if (kind.startsWith("AQ")) {
      return { kind: "move", from: "", name: "Fatima", role: null, expires: "2026-12-06", compare: false };
    }
    const grant = kind.startsWith("Grant");
    const own = kind.startsWith("Own");
    const role = kind.startsWith("Child") ? "child" : kind.startsWith("Coord") ? "coordinator" : "member";
    const long = this.#scene.name === "long";
    const name = grant ? "De Wit" : role === "child" ? "Sam" : role === "coordinator" ? "Anneke" : "Fatima";
    return {
      kind: own ? "device" : grant ? "grant" : "invite",
      from: long ? (this.#world.people[0]?.name ?? "") : "Nora",
      name: long ? "👩‍👩‍👧‍👦 ".repeat(20) : name,
      role: grant ? null : role,
      expires: "2026-12-06",
      compare: false,
    };
  }
  async start(title: string, name: string): Promise<string> {
    this.#world = family({ as: "nora", name: "empty" });
    this.#world.cases[0] = { ...(this.#world.cases[0] as E.CaseInfo), title };
    const me = this.#me();
    this.#world.people = [{ ...me, name }];
    this.#changed();
    return ID;
  }
  async join(link: string, name: string): Promise<string> {
    this.#world = family({ as: "fatima", name: "waiting" });
    this.#world.cases = this.#world.cases.map((one) => ({ ...one, own: link.includes("#Own") }));
    this.#world.people = this.#world.people.map((one) => (one.me ? { ...one, name } : one));
    this.#changed();
    return ID;
  }
  async accept(): Promise<string> {
    this.#world = family({ as: "dewit", name: "waiting" });
    this.#changed();
    return this.#world.views[0]?.grant ?? "";
  }
  async cases(): Promise<E.CaseInfo[]> {
    return this.#world.cases.map((one) => ({ ...one, unsent: this.#world.unsent }));
  }
  async people(): Promise<E.Person[]> {
    return this.#world.people;
  }
  async invite(_case: string, _role: E.Role, name: string): Promise<string> {
    this.#world.pending.push({
      kind: "invited",
      name,
      role: "member",
      own: false,
      words: null,
      expires: "2026-12-06",
    });
    this.#changed();
    return secret("Inv");
  }
  async confirm(_case: string, name: string): Promise<void> {
    this.#world.pending = this.#world.pending.filter((one) => one.name !== name);
    this.#changed();
  }
  override async asked(case_: string): Promise<Decision[]> {
    if (this.#scene.name !== "words") return super.asked(case_);
    const about = { what: "role", person: "f", name: "Fatima", role: "owner" } as const;
    return [{ ...about, yes: ["Karim"], needed: 2, done: false, mine: false }];
  }
  override async erase() {
    this.#world.cases = [];
    this.#changed();
    return super.erase();
  }
  override async addWithoutPhone(case_: string, name: string, standIn: string): Promise<string> {
    return this.add(case_, "circle", "people", { name, status: "yes", stand_in: standIn });
  }
  override async cancel(_case: string, name: string): Promise<void> {
    this.#world.pending = this.#world.pending.filter((one) => one.name !== name);
    this.#changed();
  }
  override async propose(...given: Parameters<RehearsalReports["propose"]>): Promise<Decision> {
    const asked = await super.propose(...given);
    this.#changed();
    return asked;
  }
  override async letIn(case_: string, part: string, person: string): Promise<void> {
    await super.letIn(case_, part, person);
    this.#changed(part);
  }
  override async letOut(case_: string, part: string, person: string): Promise<void> {
    await super.letOut(case_, part, person);
    this.#changed(part);
  }
  async remove(_case: string, person: string): Promise<void> {
    this.#world.people = this.#world.people.filter((one) => one.person !== person);
    this.#changed();
  }
  async leave(): Promise<void> {
    this.#world.cases = this.#world.cases.map((one) => ({ ...one, state: "ended" }));
    this.#changed();
  }
  async pending(): Promise<E.Pending[]> {
    return this.#world.pending;
  }
  async log(): Promise<E.LogEntry[]> {
    return this.#world.log;
  }
  async history(_case: string, part: string): Promise<E.ChangeLine[]> {
    return this.#scene.name === "empty" ? [] : changesIn(part);
  }
  async show(case_: string): Promise<E.Parts>;
  async show(case_: string, part: string): Promise<E.Collections>;
  async show(_case: string, part?: string): Promise<E.Parts | E.Collections> {
    const me = this.#me();
    if (part === undefined) {
      const mine = Object.entries(this.#world.parts).filter(([name]) =>
        this.#may(this.#rule(name).read, name, me),
      );
      return structuredClone(Object.fromEntries(mine));
    }
    if (!this.#may(this.#rule(part).read, part, me)) throw new Failure("not_permitted");
    return structuredClone(this.#world.parts[part] ?? {});
  }
  async add(_case: string, part: string, collection: string, fields: E.Fields): Promise<string> {
    const item = String(++this.#counter).padStart(20, "0");
    this.#items(part, collection)[item] = structuredClone(fields);
    this.#changed(part);
    return item;
  }
  async attach(_case: string, part: string, path: string, file: E.NewFile): Promise<void> {
    const [collection = "", item = "", field = ""] = path.split("/");
    const { name, data, preview = new Uint8Array() } = file;
    const small = btoa(String.fromCharCode(...preview));
    const type = file.asIs ? "application/pdf" : "image/jpeg";
    const value = `${ATTACHMENT}${JSON.stringify({ name, type, size: data.length, preview: small })}`;
    const items = this.#items(part, collection);
    items[item] = { ...items[item], [field]: value };
    this.#files.set(`${part}/${path}`, { name, type, data });
    this.#changed(part);
  }
  async fetch(_case: string, part: string, path: string): Promise<E.FetchedFile> {
    const found = this.#files.get(`${part}/${path}`);
    if (!found) throw new Failure("no_such_field");
    return structuredClone(found);
  }
  async set(_case: string, part: string, path: string, value: E.Value): Promise<void> {
    const [collection = "", item = "", field = ""] = path.split("/");
    const items = this.#items(part, collection);
    items[item] = { ...items[item], [field]: structuredClone(value) };
    this.#changed(part);
  }
  async delete(_case: string, part: string, path: string): Promise<void> {
    const [collection = "", item = "", field] = path.split("/");
    const items = this.#world.parts[part]?.[collection];
    if (!items?.[item]) throw new Failure("no_such_item");
    if (field) delete items[item][field];
    else delete items[item];
    this.#changed(part);
  }
  async readers(_case: string, part: string): Promise<E.Reader[]> {
    const rule = this.#rule(part);
    const inside = this.#world.people
      .filter((one) => this.#may(rule.read, part, one))
      .map((one) => ({ ...one, writes: this.#may(rule.write, part, one), until: null, grant: null }));
    const outside = this.#world.access
      .filter((one) => one.state === "running" && one.parts.includes(part))
      .map((one) => ({
        person: "",
        name: one.to,
        role: "professional" as const,
        me: false,
        writes: false,
        until: one.until,
        grant: this.#me().role === "owner" ? one.grant : null,
      }));
    return [...inside, ...outside];
  }
  async preview(_case: string, selection: E.Selection): Promise<E.Parts> {
    return this.#project(selection);
  }
  #project(selection: E.Selection): E.Parts {
    const names = new Map(this.#world.people.map((one) => [one.person, one.name]));
    const items = new Set(
      Object.values(this.#world.parts).flatMap((one) => Object.values(one).flatMap(Object.keys)),
    );
    const one = (value: string): string => names.get(value) ?? (items.has(value) ? `p${value}` : value);
    const shown = (value: E.Value): E.Value => {
      if (typeof value === "string") return one(value);
      return value && typeof value === "object" ? members(value).map(one) : value;
    };
    const result: E.Parts = {};
    for (const [part, rule] of Object.entries(selection.parts)) {
      const collections: E.Collections = {};
      for (const [collection, items] of Object.entries(this.#world.parts[part] ?? {})) {
        const chosen = Object.entries(items).filter(
          ([item]) => rule.items === "all" || rule.items.includes(item),
        );
        if (chosen.length === 0) continue;
        collections[collection] = Object.fromEntries(
          chosen.map(([item, fields]) => [
            `p${item}`,
            Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, shown(value)])),
          ]),
        );
      }
      result[part] = collections;
    }
    return result;
  }
  async grant(_case: string, to: string, purpose: string, until: string, selection: E.Selection) {
    const grant = `g${++this.#counter}`;
    this.#world.access.push({
      grant,
      to,
      purpose,
      parts: Object.keys(selection.parts),
      from: "2026-11-22",
      until,
      state: "offered",
      opened: null,
      copied: null,
      stopped: null,
      stoppedBy: null,
      selection,
    });
    this.#changed();
    return { grant, link: secret("Grant") };
  }
  async withdraw(_case: string, grant: string): Promise<void> {
    this.#world.access = this.#world.access.map((one) =>
      one.grant === grant
        ? { ...one, state: "stopped", stopped: "2026-11-22T10:12:00", stoppedBy: this.#me().person }
        : one,
    );
    this.#changed();
  }
  async access(): Promise<E.Access[]> {
    if (this.#me().role !== "owner") throw new Failure("not_permitted");
    return this.#world.access;
  }
  async views(): Promise<E.ViewInfo[]> {
    return this.#world.views;
  }
  async view(grant: string): Promise<E.View> {
    const one = this.#world.views.find((each) => each.grant === grant);
    if (!one) throw new Failure("no_such_grant");
    const selection: E.Selection = {
      parts: { plan: { items: "all", fields: "all" }, safety: { items: "all", fields: "all" } },
    };
    return { ...one, parts: one.state === "open" ? this.#project(selection) : {} };
  }
  protected override mayAdopt(): boolean {
    return this.#me().role === "owner";
  }
  async sync(): Promise<E.SyncReport> {
    if (this.#scene.name === "offline") throw new Failure("offline");
    return { sent: 0, received: 0, alarms: [] };
  }
  async status(): Promise<E.Status> {
    return {
      online: this.#scene.name !== "offline",
      unsent: this.#world.unsent,
      synced: "2026-11-22T09:41:00",
      alarms: this.#world.alarms,
    };
  }
  subscribe(callback: (change: E.Change) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }
}

/** Who wrote what, as `history` tells it: two people on three days, and one from before there were days. */
function changesIn(part: string): E.ChangeLine[] {
  const kind = KINDS.find((one) => one.kind === splitPart(part).kind);
  const [collection = "", rule] = Object.entries(kind?.collections ?? {})[0] ?? [];
  const [first = "text", second = first] = Object.keys(rule?.fields ?? {});
  const line = (
    by: string,
    at: string | null,
    did: E.ChangeLine["told"][number]["did"],
    ...fields: string[]
  ) => ({
    by,
    at,
    what: "",
    told: [{ did, collection, fields }],
  });
  return [
    line("Nora", null, "made", first),
    line("Nora", "2026-03-03", "changed", first, second),
    line("Fatima", "2026-03-03", "changed", second),
    line("Fatima", "2026-03-09", "removed"),
  ];
}
