// A case is begun anew from a copy: by whom, from which copy, what asking twice does, and ended at every write.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore, type Written } from "../src/app/memory-store";
import type { Again, Brought } from "../src/app/ways";
import { zip } from "../src/app/zip";
import {
  CHARTER,
  CONTENT,
  endOf,
  MANIFEST,
  openLog,
  openManifest,
  packLog,
  READABLE,
  signManifest,
} from "../src/core/exported";
import { exportCase } from "../src/core/exporting";
import { hex } from "../src/core/ids";
import { bring, type Step } from "../src/core/importing";
import type { Case } from "../src/core/library";
import { encode } from "../src/core/packed";
import { byCodePoint } from "../src/core/texts";
import { sha256 } from "../src/crypto/kdf";
import { sign } from "../src/crypto/sign";
import { agreements, codes, familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

const EIGENKRING = fileURLToPath(new URL("../../.venv/bin/eigenkring", import.meta.url));
const run = promisify(execFile);
const DAY = 86_400;
const LETTER = new TextEncoder().encode("een brief");
type Files = Map<string, Uint8Array>;
type Family = Awaited<ReturnType<typeof familyOn>>;

let relay: Relay;
let now = Math.floor(Date.now() / 1000);
const clock = () => now;
let family: Family;
let files: Files;
let item: string;
const soon = () => new Date(1000 * (now + 20 * DAY)).toISOString().slice(0, 10);

async function begin(): Promise<void> {
  family = await familyOn(relay.address, { clock });
  const { home, nora, there } = family;
  await home.add("plan", "agreements", { what: "Karim rijdt" });
  item = await home.add("plan", "agreements", { what: "Fatima komt" });
  await home.attach("plan", `agreements/${item}`, { name: "brief.txt", data: LETTER, asIs: true });
  await home.set("question", "question/question/text", "Wie helpt er?");
  await home.add("diary", "entries", { text: "van mij alleen" });
  await there.add("diary", "entries", { text: "van Fatima alleen" });
  const selection = { parts: { plan: { items: "all" as const, fields: "all" as const } } };
  await new LocalEngine(nora).grant(hex(home.id), "De Wit", "meedenken", soon(), selection);
  for (const one of [home, there, home, there]) await one.sync();
  files = await exportCase(home);
}
beforeAll(async () => {
  relay = await startRelay();
  await begin();
}, 150_000);
afterAll(() => relay?.stop());

const onto = (engine: LocalEngine, data: Uint8Array = zip(files)): Promise<Brought> => engine.bring(data);
const engineOf = (phone: Phone): LocalEngine => new LocalEngine(phone, { ownRelay: relay.address });
const titles = (phone: Phone): string[] => phone.store.cases().map((row) => hex(row.case));
const again = async (engine: LocalEngine, data = zip(files)): Promise<Again> => {
  const { again: found } = await engine.lookAtCopy(data);
  if (!found) throw new Error("not whole");
  return found;
};

/** As somebody of the case would who holds its keys: with a new list, signed. */
async function signed(of: Files, by: Case, change: object = {}): Promise<Files> {
  const manifest = openManifest(files.get(MANIFEST) as Uint8Array);
  const names = byCodePoint([...of.keys()].filter((name) => name !== MANIFEST));
  const listed = names.map((name) => [name, sha256(of.get(name) as Uint8Array)] as const);
  const made = { ...manifest, files: listed, ...change };
  return new Map(of).set(MANIFEST, await signManifest(by.session.keys.sign, made));
}

describe("a copy", () => {
  test("is a case again: words, a letter, who was there, who may read; and the old one is as it was", async () => {
    const { home, nora, fatima, there } = family;
    const engine = engineOf(nora);
    const before = { head: home.charter.head, plan: home.show("plan"), cases: titles(nora).length };
    expect(await again(engine)).toEqual({
      me: "Nora",
      refused: null,
      people: [{ name: "Fatima", role: "member" }],
      own: [],
      readers: [{ to: "De Wit", again: true }],
      old: "open",
      later: false,
      before: null,
    });
    expect(titles(nora)).toHaveLength(before.cases);
    const made = await onto(engine);
    expect(made.invited.map(({ name, role }) => [name, role])).toEqual([["Fatima", "member"]]);
    expect(made.given.map(({ to }) => to)).toEqual(["De Wit"]);
    expect(made.left).toEqual([]);
    const one = await nora.case(made.case);
    expect(one.show("plan")).not.toBe(before.plan);
    expect(agreements(one)).toEqual(agreements(home));
    expect(one.show("question").get("question")?.get("question")?.get("text")).toBe("Wie helpt er?");
    expect([...(one.show("diary").get("entries")?.values() ?? [])].map((row) => row.get("text"))).toEqual([
      "van mij alleen",
    ]);
    expect((await one.fetch("plan", `agreements/${item}`)).data).toEqual(LETTER);
    // Everybody comes with the link, and reads it all.
    const id = hex(await fatima.join(made.invited[0]?.link as string, "Fatima"));
    await one.sync();
    await fatima.sync();
    expect(agreements(await fatima.case(id))).toEqual(agreements(home));
    const wit = new Phone({ clock });
    const grant = hex(await wit.accept(made.given[0]?.link as string, "De Wit"));
    await one.sync();
    await wit.sync();
    expect([...(await wit.view(grant)).keys()]).toEqual(["plan"]);
    await one.sync();
    expect((await engine.access(made.case)).map(({ to, purpose, state }) => [to, purpose, state])).toEqual([
      ["De Wit", "meedenken", "running"],
    ]);
    await home.sync();
    await there.sync();
    expect(home.charter.head).toEqual(before.head);
    expect([codes(one), codes(home)]).toEqual([[], []]);
  });

  test("on an empty phone begins as well; access is named that nobody there knows", async () => {
    const phone = new Phone({ clock });
    const engine = engineOf(phone);
    expect(await again(engine)).toMatchObject({
      old: null,
      later: false,
      readers: [{ to: "De Wit", again: false }],
    });
    const steps: Step[] = [];
    const { one, left, given } = await bring(phone, files, relay.address, {
      step: (step) => steps.push(step),
    });
    expect([left, given]).toEqual([[{ to: "De Wit", code: "not_permitted" }], []]);
    expect(agreements(one)).toEqual(["Fatima komt", "Karim rijdt"]);
    expect(new Set(steps.map(({ what }) => what))).toEqual(new Set(["people", "parts"]));
    expect(steps.every(({ done, of }) => done < of)).toBe(true);
    expect(await engine.bringing()).toBeNull();
  });

  test("is looked at, begun with and made where nothing was written yet: the engine is loaded first", async () => {
    const loaded: string[] = [];
    let now = "";
    const engineReady = async () => void loaded.push(now);
    const phone = new Phone({ clock, engineReady });
    const engine = engineOf(phone);
    const data = zip(files);
    const doing = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      now = what;
      return work();
    };
    await doing("verify", () => engine.verify(data));
    await doing("look", () => engine.lookAtCopy(data));
    const { case: made } = await doing("bring", () => engine.bring(data));
    const again = new LocalEngine(new Phone({ clock, engineReady }, phone.store as MemoryStore));
    await doing("export", () => again.exportCase(made));
    expect([...new Set(loaded)]).toEqual(["verify", "look", "bring", "export"]);
  });

  test("of somebody else makes nobody that person", async () => {
    const { fatima } = family;
    const engine = engineOf(fatima);
    expect((await again(engine)).refused).toBe("not_permitted");
    const before = titles(fatima);
    await expect(onto(engine)).rejects.toMatchObject({ code: "not_permitted" });
    expect(titles(fatima)).toEqual(before);
  });

  test("begins nothing where no relay is to be had, and another place than the own relay is not asked", async () => {
    const phone = new Phone({ clock });
    phone.switch.online = false;
    await expect(onto(engineOf(phone))).rejects.toMatchObject({ code: "offline" });
    expect(titles(phone)).toEqual([]);
    phone.switch.online = true;
    await onto(engineOf(phone));
    expect(titles(phone)).toHaveLength(1);
  });
});

describe("asked twice", () => {
  test("two at once begin one case", async () => {
    const phone = new Phone({ clock });
    const engine = engineOf(phone);
    const [one, other] = await Promise.all([onto(engine), onto(engine)]);
    expect(one.case).toBe(other.case);
    expect(one.invited).toEqual(other.invited);
    expect(titles(phone)).toHaveLength(1);
  });

  test("brings back nothing that was deleted, and nobody whose link was taken back; also when somebody came", async () => {
    const phone = new Phone({ clock });
    const engine = engineOf(phone);
    const made = await onto(engine);
    expect((await again(engine)).before).toEqual({ case: made.case, done: true });
    const one = await phone.case(made.case);
    await one.delete("plan", `agreements/${item}`);
    await one.set("question", "question/question/text", "");
    expect(await onto(engine)).toEqual(made);
    expect(agreements(one)).toEqual(["Karim rijdt"]);
    expect(one.show("question").get("question")?.get("question")?.get("text")).toBe("");
    await one.cancel("Fatima");
    expect((await onto(engine)).invited).toEqual([]);
    expect(titles(phone)).toEqual([made.case]);
  });

  test("an older copy changes nothing of what came later, and says that there is more", async () => {
    const { home, nora } = family;
    const old = zip(files);
    await home.add("plan", "agreements", { what: "later" });
    await home.sync();
    const engine = engineOf(nora);
    expect(await again(engine, old)).toMatchObject({ later: true, old: "open" });
    const { case: made } = await onto(engine, old);
    expect(agreements(await nora.case(made))).not.toContain("later");
    expect(agreements(home)).toContain("later");
  });
});

test("who was put out begins alone, with what they had; nothing of the others moves", async () => {
  const { nora, home, fatima, there } = await familyOn(relay.address, { clock });
  await home.add("plan", "agreements", { what: "samen" });
  for (const one of [home, there]) await one.sync();
  const hers = zip(await exportCase(there));
  await home.remove("Fatima");
  await home.add("plan", "agreements", { what: "zonder" });
  await home.sync();
  await there.sync().catch(() => {});
  const engine = engineOf(fatima);
  const head = home.charter.head;
  expect(await again(engine, hers)).toMatchObject({
    me: "Fatima",
    refused: null,
    old: "removed",
    later: false,
  });
  const made = await onto(engine, hers);
  expect(agreements(await fatima.case(made.case))).toEqual(["samen"]);
  expect(made.invited.map(({ name }) => name)).toEqual(["Nora"]);
  await home.sync();
  expect(home.charter.head).toEqual(head);
  expect(home.people().map(({ name }) => name)).toEqual(["Nora"]);
  expect(titles(nora)).toHaveLength(1);
  // The copy of who stayed does not make her that person.
  const noras = zip(await exportCase(home));
  await expect(onto(engine, noras)).rejects.toMatchObject({ code: "not_permitted" });
});

describe("what is no copy, or none of this", () => {
  const faultOf = async (of: Files): Promise<string> => {
    const phone = new Phone({ clock });
    const engine = engineOf(phone);
    const { checked, again: found } = await engine.lookAtCopy(zip(of));
    expect(found).toBeNull();
    await expect(engine.bring(zip(of))).rejects.toMatchObject({ code: "bad_export" });
    expect(titles(phone)).toEqual([]);
    return checked.whole ? "whole" : checked.fault;
  };

  test("a charter that goes on with what only a newer program knows asks for that program", async () => {
    const { home } = family;
    const log = openLog(files.get(CHARTER) as Uint8Array);
    const { charter } = home;
    const [length, chain] = endOf(log);
    const body = {
      v: 1,
      case: charter.case,
      n: charter.n + 1,
      prev: charter.head,
      chain,
      by: home.session.device(),
    };
    const data = encode({ ...body, at: 5, what: "thaw" });
    const sig = await sign(home.session.keys.sign, "charter", charter.case, data);
    const payload = encode({ body: data, sig });
    const made = { ...log, records: [...log.records, [new Uint8Array(300), payload] as const] };
    const { streams } = openManifest(files.get(MANIFEST) as Uint8Array);
    const longer = {
      streams: streams.map(([name, ...end]) => [name, ...(name === "" ? endOf(made) : end)] as const),
    };
    const of = new Map(files).set(CHARTER, packLog(made));
    // The program that made it knows what it means.
    expect(length).toBeGreaterThan(0);
    expect(await faultOf(await signed(of, home, { ...longer, n: charter.n + 1 }))).toBe("newer");
    // That program did not know it either: then it ends where that one ended.
    const { checked } = await engineOf(new Phone({ clock })).lookAtCopy(zip(await signed(of, home, longer)));
    expect(checked.whole).toBe(true);
  });

  test("a page of a program whose labels were other words keeps no family out, and is no copy to read", async () => {
    const page = new TextDecoder().decode(files.get(READABLE)).replaceAll("<dt>", "<dt>Vroeger: ");
    expect(page).toContain("Vroeger: ");
    const of = await signed(new Map(files).set(READABLE, new TextEncoder().encode(page)), family.home);
    const phone = new Phone({ clock });
    const engine = engineOf(phone);
    // With this app's own words it is a false page; with those of another app nobody can tell, and that is said.
    expect(await engine.verify(zip(of))).toMatchObject({ whole: false, fault: "words" });
    for (const change of [{ schema: new Uint8Array(32) }, { v: 1, schema: null }]) {
      const other = await signed(of, family.home, change);
      expect(await engine.verify(zip(other))).toMatchObject({ whole: true, page: false });
    }
    const before = await signed(files, family.home, { v: 1, schema: null });
    expect(await engine.verify(zip(before))).toMatchObject({ whole: true, page: true });
    expect((await engine.lookAtCopy(zip(of))).checked.whole).toBe(true);
    expect(agreements(await phone.case((await engine.bring(zip(of))).case))).toEqual([
      "Fatima komt",
      "Karim rijdt",
    ]);
    // The data beside it says what the records say, or it is refused as ever.
    expect(await faultOf(await signed(new Map(of).set(CONTENT, LETTER), family.home))).toBe("words");
  });

  test("parts of another case", async () => {
    const stranger = new Phone({ clock });
    const other = await stranger.start("Elders", relay.address, "Bo");
    await other.add("plan", "agreements", { what: "van een ander" });
    const theirs = await exportCase(other);
    for (const name of ["parts/plan.msgpack", CHARTER, CONTENT, MANIFEST]) {
      const of = new Map(files).set(name, theirs.get(name) as Uint8Array);
      expect([name, await faultOf(of)]).toEqual([name, "files"]);
      if (name === MANIFEST) continue;
      // Signed by somebody of the case too.
      const fault = { "parts/plan.msgpack": "log", [CHARTER]: "charter", [CONTENT]: "words" }[name];
      expect([name, await faultOf(await signed(of, family.home))]).toEqual([name, fault]);
    }
  });

  test("names that lead elsewhere, and one name twice", async () => {
    for (const name of ["../lezen.html", "/etc/passwd", "parts/../../x", "a\\..\\b", "", "./x", "parts//x"]) {
      expect([name, await faultOf(new Map(files).set(name, LETTER))]).toEqual([name, "archive"]);
    }
    const twice = zip(new Map([...files, ["lezen.htmm", LETTER]]));
    const utf8 = new TextEncoder().encode("lezen.htmm");
    for (let at = 0; at < twice.length - utf8.length; at++) {
      if (utf8.every((byte, n) => twice[at + n] === byte)) twice[at + utf8.length - 1] = "l".charCodeAt(0);
    }
    const phone = new Phone({ clock });
    await expect(engineOf(phone).bring(twice)).rejects.toMatchObject({
      code: "bad_export",
      fault: "archive",
    });
    expect(titles(phone)).toEqual([]);
  });
});

/** A disk that takes so many steps; at the next one the phone is off, also for the relay. */
class Mortal extends MemoryStore {
  steps = 0;
  died = () => {};

  constructor(
    readonly platter: Map<string, Written>,
    private readonly last = Number.POSITIVE_INFINITY,
  ) {
    super();
    this.fill(platter.values());
  }

  protected override async keep(rows: readonly Written[]): Promise<void> {
    if (this.steps >= this.last) {
      this.died();
      throw new Error("the phone is off");
    }
    this.steps += 1;
    for (const one of rows) {
      const place = `${one.table} ${one.owner} ${one.key}`;
      if (one.row === undefined) this.platter.delete(place);
      else this.platter.set(place, one);
    }
  }
}

describe("ended at a write it goes on", () => {
  test("at every one: nobody is invited twice, nothing stands twice, nothing is missing", async () => {
    const seen = new Mortal(new Map());
    await bring(new Phone({ clock }, seen), files, relay.address);
    expect(seen.steps).toBeGreaterThan(60);
    const stride = Number(process.env.EIGENKRING_STRIDE ?? 17);
    for (let last = 0; last < seen.steps; last += stride) {
      const disk = new Map<string, Written>();
      const store = new Mortal(disk, last);
      const first = new Phone({ clock }, store);
      store.died = () => {
        first.switch.online = false;
      };
      await bring(first, files, relay.address).catch(() => {});
      first.switch.online = false;
      const next = new Phone({ clock }, new Mortal(disk));
      await next.sync().catch(() => {});
      const { one, invited, left } = await bring(next, files, relay.address);
      const where = `ended after ${last}`;
      expect([where, agreements(one)]).toEqual([where, ["Fatima komt", "Karim rijdt"]]);
      expect([where, [...(one.show("diary").get("entries")?.values() ?? [])].length]).toEqual([where, 1]);
      expect([where, one.show("question").get("question")?.get("question")?.get("text")]).toEqual([
        where,
        "Wie helpt er?",
      ]);
      expect([where, invited.map(({ name }) => name)]).toEqual([where, ["Fatima"]]);
      expect([where, (await one.pending()).map(({ name }) => name)]).toEqual([where, ["Fatima"]]);
      expect([where, left.map(({ to }) => to)]).toEqual([where, ["De Wit"]]);
      expect([where, titles(next).length]).toEqual([where, 1]);
      await one.sync();
      expect([where, (await one.fetch("plan", `agreements/${item}`)).data]).toEqual([where, LETTER]);
      expect([where, codes(one)]).toEqual([where, []]);
      const came = new Phone({ clock });
      const id = hex(await came.join(invited[0]?.link as string, "Fatima"));
      await one.sync();
      await came.sync();
      expect([where, agreements(await came.case(id))]).toEqual([where, agreements(one)]);
    }
  }, 900_000);

  test("as long as its links work; later it is begun anew", async () => {
    for (const [days, isSame] of [
      [1, true],
      [40, false],
    ] as const) {
      const next = new Phone({ clock });
      const off = ({ what, done }: Step): void => {
        if (what === "parts" && done === 3) throw new Error("the phone is off");
      };
      await expect(bring(next, files, relay.address, { step: off })).rejects.toThrow("off");
      const [half] = titles(next);
      const engine = engineOf(next);
      now += days * DAY;
      expect((await again(engine)).before).toEqual(isSame ? { case: half, done: false } : null);
      const made = await onto(engine);
      now -= days * DAY;
      expect(made.case === half).toBe(isSame);
      expect(made.invited.map(({ name }) => name)).toEqual(["Fatima"]);
    }
  });
});

describe("between the command line and the app", () => {
  let folder: string;
  const cli = async (...words: string[]) =>
    JSON.parse((await run(EIGENKRING, ["--home", join(folder, "home"), "--json", ...words])).stdout);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "eigenkring-bring-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("what the command line took along the app begins anew", async () => {
    const { case: id } = await cli("start", "Thuis", "--relay", relay.address, "--as", "Nora");
    const { item: at } = await cli("add", id, "plan", "agreements", '{"what": "Karim rijdt 🌻"}');
    await writeFile(join(folder, "brief.txt"), LETTER);
    await cli("attach", id, "plan", `agreements/${at}`, join(folder, "brief.txt"), "--as-is");
    await cli("invite", id, "member", "--as", "Oma").catch(() => {});
    const to = join(folder, "copy");
    await cli("export", id, "--to", to);
    const found: Files = new Map();
    for (const one of await readdir(to, { recursive: true, withFileTypes: true })) {
      const path = join(one.parentPath, one.name);
      if (one.isFile()) found.set(relative(to, path), new Uint8Array(await readFile(path)));
    }
    const phone = new Phone();
    const { case: made } = await onto(engineOf(phone), zip(found));
    const one = await phone.case(made);
    expect(agreements(one)).toEqual(["Karim rijdt 🌻"]);
    expect((await one.fetch("plan", `agreements/${at}`)).data).toEqual(LETTER);
  });

  test("what the app took along the command line begins anew", async () => {
    const to = join(folder, "from-app");
    for (const [name, data] of files) {
      await mkdir(dirname(join(to, name)), { recursive: true });
      await writeFile(join(to, name), data);
    }
    const made = await cli("import", to, "--relay", relay.address);
    expect(made.invitations.map(({ name }: { name: string }) => name)).toEqual(["Fatima"]);
    expect(made.left).toEqual([{ to: "De Wit", code: "not_permitted" }]);
    const plan = await cli("show", made.case, "plan");
    const rows: { what: string }[] = Object.values(plan.agreements);
    expect(rows.map(({ what }) => what).sort()).toEqual(["Fatima komt", "Karim rijdt"]);
    await cli("fetch", made.case, "plan", `agreements/${item}`, join(folder, "back.txt"));
    expect(new Uint8Array(await readFile(join(folder, "back.txt")))).toEqual(LETTER);
  });
});
