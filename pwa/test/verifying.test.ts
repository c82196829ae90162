// A copy is opened: whole it says who wrote what, and for each way in which it can be wrong there is a word.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import type { Checked } from "../src/app/ways";
import { checksum, zip } from "../src/app/zip";
import { Engine } from "../src/core/crdt";
import {
  CHARTER,
  CONTENT,
  endOf,
  FAULTS,
  type Fault,
  foldPart,
  type Log,
  MANIFEST,
  type Manifest,
  openLog,
  openManifest,
  packLog,
  READABLE,
  signManifest,
} from "../src/core/exported";
import { exportCase, pages, verified } from "../src/core/exporting";
import type { Case } from "../src/core/library";
import { byCodePoint } from "../src/core/texts";
import { sha256 } from "../src/crypto/kdf";
import { familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

const EIGENKRING = fileURLToPath(new URL("../../.venv/bin/eigenkring", import.meta.url));
const run = promisify(execFile);
type Files = Map<string, Uint8Array>;

let relay: Relay;
let home: Case;
let whole: Files;
// As on an empty phone: nothing of the case is known to who looks.
const engine = new LocalEngine(new Phone());
const look = (files: Files): Promise<Checked> => engine.verify(zip(files));
const fault = async (files: Files): Promise<string> => {
  const found = await look(files);
  return found.whole ? "whole" : found.fault;
};
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

beforeAll(async () => {
  relay = await startRelay();
  const family = await familyOn(relay.address);
  home = family.home;
  await home.add("plan", "agreements", { what: "Karim rijdt" });
  const item = await home.add("information", "questions", { text: "Wat staat er?" });
  await home.attach("information", `questions/${item}`, {
    name: "brief.txt",
    data: utf8("een brief"),
    asIs: true,
  });
  await home.sync();
  await family.there.sync();
  await family.there.add("plan", "agreements", { what: "Fatima komt" });
  await family.there.sync();
  await home.sync();
  await home.add("plan", "agreements", { what: "en daarna" });
  await home.sync();
  whole = await exportCase(home);
}, 150_000);
afterAll(() => relay?.stop());

/** As somebody of the case would who holds its keys: with a new list, signed. */
async function signed(
  files: Files,
  change: (manifest: Manifest) => Partial<Manifest> = () => ({}),
): Promise<Files> {
  const manifest = openManifest(whole.get(MANIFEST) as Uint8Array);
  const names = byCodePoint([...files.keys()].filter((name) => name !== MANIFEST));
  const listed = names.map((name) => [name, sha256(files.get(name) as Uint8Array)] as const);
  const made = { ...manifest, files: listed, ...change(manifest) };
  return new Map(files).set(MANIFEST, await signManifest(home.session.keys.sign, made));
}
const withFile = (name: string, data: Uint8Array): Files => new Map(whole).set(name, data);
function without(name: string): Files {
  const files = new Map(whole);
  files.delete(name);
  return files;
}
const planLog = (): Log => openLog(whole.get("parts/plan.msgpack") as Uint8Array);

test("a whole copy says who made it, who wrote in which part, and what is with it", async () => {
  const found = await look(whole);
  if (!found.whole) throw new Error(found.fault);
  expect(found).toMatchObject({ title: "Thuis bij Nora", by: "Nora", people: ["Nora", "Fatima"], files: 1 });
  expect(found.at).toMatch(/^\d{4}-\d\d-\d\d$/);
  const plan = found.parts.find(({ part }) => part === "plan");
  expect(plan?.passed).toEqual([]);
  expect(plan?.changes.map(({ name }) => name).sort()).toEqual(["Fatima", "Nora"]);
  expect(found.parts.map(({ about }) => about)).toContain("Fatima");
});

test("what the command line exports is whole here too, and says the same", async () => {
  const folder = await mkdtemp(join(tmpdir(), "eigenkring-copy-"));
  const cli = async (...words: string[]) =>
    JSON.parse((await run(EIGENKRING, ["--home", join(folder, "home"), "--json", ...words])).stdout);
  try {
    const { case: id } = await cli("start", "Thuis", "--relay", relay.address, "--as", "Nora");
    await cli("add", id, "plan", "agreements", '{"what": "Karim rijdt"}');
    const to = join(folder, "copy");
    await cli("export", id, "--to", to);
    const paths = (await readdir(to, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
    const files: Files = new Map();
    for (const one of paths) {
      const path = join(one.parentPath, one.name);
      files.set(relative(to, path), new Uint8Array(await readFile(path)));
    }
    const said = await cli("verify", to);
    const found = await look(files);
    if (!found.whole) throw new Error(found.fault);
    expect({ title: found.title, by: found.by, at: found.at }).toEqual({
      title: said.title,
      by: said.by,
      at: said.at,
    });
    const parts = found.parts.map(({ part, changes, passed }) => [
      part,
      { changes: Object.fromEntries(changes.map(({ name, n }) => [name, n])), passed },
    ]);
    expect(Object.fromEntries(parts)).toEqual(said.parts);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe("a copy that is not what was made", () => {
  const cases: [Fault, () => Files | Promise<Files>][] = [
    ["none", () => without(MANIFEST)],
    ["newer", () => signed(whole, () => ({ v: 3 }))],
    ["files", () => withFile(READABLE, utf8("<p>Iets anders</p>"))],
    ["files", () => withFile("erbij.txt", utf8("nog iets"))],
    ["files", () => without("parts/plan.msgpack")],
    ["shape", () => signed(withFile("parts/plan.msgpack", utf8("geen log")))],
    ["shape", () => withFile(MANIFEST, new Uint8Array([...(whole.get(MANIFEST) as Uint8Array), 0]))],
    ["charter", () => signed(whole, ({ n }) => ({ n: n + 1 }))],
    ["charter", () => signed(withFile(CHARTER, whole.get("parts/plan.msgpack") as Uint8Array))],
    ["signature", () => signed(whole, () => ({ by: new Uint8Array(16) }))],
    [
      "signature",
      () => signed(whole, () => ({ by: [...home.charter.devices.values()].at(-1)?.device as Uint8Array })),
    ],
    [
      "part",
      () =>
        signed(without("parts/plan.msgpack"), ({ streams }) => ({
          streams: streams.filter(([name]) => name !== "plan"),
        })),
    ],
    [
      "log",
      () =>
        signed(whole, ({ streams }) => ({
          streams: streams.map(([name, n, chain]) => [name, n + 1, chain]),
        })),
    ],
    [
      "log",
      () => signed(withFile("parts/plan.msgpack", whole.get("parts/information.msgpack") as Uint8Array)),
    ],
    [
      "attachment",
      () => {
        const [name] = [...whole.keys()].filter((path) => path.startsWith("files/"));
        return signed(withFile(name as string, utf8("een andere brief")));
      },
    ],
    ["words", () => signed(withFile(READABLE, utf8("<p>Iets anders</p>")))],
    ["words", () => signed(withFile(CONTENT, utf8("{}\n")))],
  ];
  test.each(cases)("%s (%#)", async (expected, make) => {
    expect(await fault(await make())).toBe(expected);
  });

  test("left_out: a record was taken out, and the pages made anew; its authors saw another log", async () => {
    const { schema } = home.session.around;
    const { charter, content } = await verified(whole, schema);
    const log = planLog();
    expect(log.records.length).toBe(3);
    const shorter = { ...log, records: log.records.filter((_, at) => at !== 1) };
    const plan = charter.parts.get("plan");
    if (!plan) throw new Error("no plan");
    const { content: left } = await foldPart(plan, shorter, charter, () => new Engine(new Uint8Array(24)));
    expect(left.get("agreements")?.size).toBe(1);
    const files = withFile("parts/plan.msgpack", packLog(shorter));
    const there = new Set([...whole.keys()].filter((name) => name.startsWith("files/")));
    for (const [name, data] of pages(schema, charter, new Map(content).set("plan", left), there))
      files.set(name, data);
    const ends = ({ streams }: Manifest) => ({
      streams: streams.map(([name, ...end]) => [name, ...(name === "plan" ? endOf(shorter) : end)] as const),
    });
    expect(await fault(await signed(files, ends))).toBe("left_out");
  });

  test("every fault has a word of its own in both languages", async () => {
    for (const language of ["nl", "en"]) {
      const texts = JSON.parse(
        await readFile(new URL(`../src/i18n/${language}.json`, import.meta.url), "utf-8"),
      );
      const said = Object.keys(FAULTS).map((one) => texts[`verify.fault.${one}`]);
      expect(said.every(Boolean)).toBe(true);
      expect(new Set(said).size).toBe(said.length);
    }
  });

  test("one byte anywhere is enough", async () => {
    for (const [name, data] of whole) {
      for (const at of [0, data.length >> 1, data.length - 1]) {
        const altered = data.slice();
        altered[at] = (altered[at] as number) ^ 1;
        expect([name, at, (await look(withFile(name, altered))).whole]).toEqual([name, at, false]);
      }
    }
  });
});

describe("the archive", () => {
  const bad = async (data: Uint8Array): Promise<string> => {
    const found = await engine.verify(data);
    return found.whole ? "whole" : found.fault;
  };
  /** As other programs pack: deflated, and with the folder's own name. */
  function packedAnew(files: Files, folder: string, lie = (size: number) => size): Uint8Array {
    const pieces: Uint8Array[] = [];
    const list: Uint8Array[] = [];
    let at = 0;
    for (const [path, data] of files) {
      const name = utf8(folder + path);
      const body = deflateRawSync(data);
      const about = Buffer.alloc(26);
      about.writeUInt16LE(20, 0);
      about.writeUInt16LE(8, 4);
      about.writeUInt32LE(checksum(data), 10);
      about.writeUInt32LE(body.length, 14);
      about.writeUInt32LE(lie(data.length), 18);
      about.writeUInt16LE(name.length, 22);
      const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), about, name, body]);
      const place = Buffer.alloc(14);
      place.writeUInt32LE(at, 10);
      list.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00", "latin1"), about, place, name]));
      pieces.push(local);
      at += local.length;
    }
    const listed = Buffer.concat(list);
    const end = Buffer.alloc(22);
    end.write("PK\x05\x06", "latin1");
    end.writeUInt16LE(files.size, 8);
    end.writeUInt16LE(files.size, 10);
    end.writeUInt32LE(listed.length, 12);
    end.writeUInt32LE(at, 16);
    return new Uint8Array(Buffer.concat([...pieces, listed, end]));
  }

  test("packed again by a computer, with its folder, it is the same copy", async () => {
    const beside = new Map(whole).set("__MACOSX/._lezen.html", utf8("x")).set(".DS_Store", utf8("x"));
    expect(await bad(packedAnew(beside, ""))).toBe("whole");
    expect(await bad(packedAnew(whole, "kring-2026-11-02/"))).toBe("whole");
  });
  test("cut off, no zip, or altered under its checksum it is damaged", async () => {
    const data = zip(whole);
    expect(await bad(new Uint8Array())).toBe("none");
    expect(await bad(utf8("geen zip ".repeat(40)))).toBe("none");
    for (const part of [0.1, 0.5, 0.99]) expect(await bad(data.slice(0, data.length * part))).toBe("archive");
    const altered = data.slice();
    altered[1000] = (altered[1000] as number) ^ 1;
    expect(await bad(altered)).toBe("archive");
    expect(await bad(zip(new Map([["../elders", utf8("x")]])))).toBe("archive");
  });
  test("a small file that says it is small and is not, or says it is very large, fills nothing", async () => {
    const files = new Map([["a", new Uint8Array(50_000_000)]]);
    const bomb = packedAnew(files, "", () => 100);
    expect(bomb.length).toBeLessThan(100_000);
    expect(await bad(bomb)).toBe("archive");
    expect(await bad(packedAnew(new Map([["a", utf8("x")]]), "", () => 0xfffffff0))).toBe("large");
  });
});
