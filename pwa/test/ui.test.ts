import { describe, expect, test, vi } from "vitest";
import type { Access, LogEntry, Parts, Person } from "../src/app/engine";
import { decisionMark } from "../src/core/consent";
import { named } from "../src/core/ids";
import { formatLink } from "../src/core/link";
import { Install } from "../src/ui/install.svelte";
import { hue, initials, shortName } from "../src/ui/names";
import { caseHref, isMove, linkIn, parseRoute } from "../src/ui/route";
import { canShow, members } from "../src/ui/schema";
import { sharing } from "../src/ui/sharing";
import { sentence, withCopies } from "../src/ui/story";
import { hasOwnToKeep, openRounds, runningAgreements, thisWeek } from "../src/ui/waits";

describe("addresses", () => {
  const secret = "AQ".repeat(50);

  test("a secret is told from a route", () => {
    expect(linkIn(`https://kring.example/#${secret}`)).toBe(`https://kring.example/#${secret}`);
    for (const hash of ["", "#/", "#/case/abc/plan", "#main", `#/${secret}`, `#${secret}?x`]) {
      expect(linkIn(`https://kring.example/${hash}`)).toBeNull();
    }
  });
  test("an address to move in by is told from other links by what it says itself", () => {
    const made = (kind: 1 | 2 | 3 | 4) =>
      formatLink({
        relay: "https://kring.example",
        kind,
        doorstep: named(new Uint8Array(16).fill(255)),
        seed: new Uint8Array(32),
        pin: new Uint8Array(32),
      });
    expect(([1, 2, 3, 4] as const).filter((kind) => isMove(made(kind)))).toEqual([4]);
    expect(isMove(made(4).slice(0, -30))).toBe(true);
    expect(parseRoute("#/move")).toEqual({ at: "move" });
  });
  test("an address leads where it was made for", () => {
    expect(parseRoute(caseHref("ab", "part", "voice@0123456789abcdef"))).toEqual({
      at: "case",
      id: "ab",
      page: "part",
      arg: "voice@0123456789abcdef",
    });
    expect(parseRoute(caseHref("ab"))).toEqual({ at: "case", id: "ab", page: "overview", arg: "" });
    expect(parseRoute(caseHref("ab", "invite", "Oma / Ria 🌻"))).toMatchObject({
      page: "invite",
      arg: "Oma / Ria 🌻",
    });
  });
  test("nonsense leads home", () => {
    for (const hash of ["", "#", "#/", "#/nowhere", "#/case", "#/view/", "#%E0%A4%A"]) {
      expect(parseRoute(hash)).toEqual({ at: "home" });
    }
    expect(parseRoute("#/case/ab/nowhere")).toMatchObject({ page: "overview" });
  });
});

describe("faces", () => {
  test("initials", () => {
    expect(initials("Nora")).toBe("N");
    expect(initials("De Wit")).toBe("DW");
    expect(initials("  opa   henk de oude ")).toBe("OO");
    expect(initials("👨‍👩‍👧‍👦 thuis")).toBe("👨‍👩‍👧‍👦T");
    expect(initials(" ")).toBe("?");
  });
  test("a colour stays a person's own", () => {
    expect(hue("Nora")).toBe(hue("Nora"));
    expect(new Set(["Nora", "Fatima", "Karim", "Eva", "Sam", "Lotte"].map(hue)).size).toBeGreaterThan(3);
  });
  test("a long name is cut between signs", () => {
    const name = shortName("👨‍👩‍👧‍👦".repeat(100), 13);
    expect(name).toBe(`${"👨‍👩‍👧‍👦".repeat(4)}…`);
    expect(shortName("Nora")).toBe("Nora");
    expect(shortName("🦄".repeat(200))).toBe(`${"🦄".repeat(9)}…`);
  });
});

describe("what waits", () => {
  const me: Person = { person: "a".repeat(16), name: "Nora", role: "owner", me: true };
  const parts: Parts = {
    plan: {
      agreements: {
        one: { what: "x", who: "Karim", status: "running" },
        two: { what: "y", with: me.person, status: "open" },
        three: { what: "z", who: me.person, status: "done" },
      },
    },
    agenda: {
      appointments: {
        past: { title: "a", time: "2026-11-21" },
        late: { title: "b", time: "2026-11-29T10:00" },
        soon: { title: "c", time: "2026-11-22" },
        vague: { title: "d", time: "vrijdag" },
        far: { title: "e", time: "2026-12-01" },
      },
    },
    decisions: {
      decisions: {
        a: { text: "a", state: "consent_round" },
        b: { text: "b", state: "consent_round", asked: { [`${"b".repeat(16)}`]: true } },
        c: { text: "c", state: "adopted" },
        d: { text: "d", state: "consent_round" },
      },
    },
    [`answers@${me.person}`]: {
      consents: { x: { decision: "d", answer: "consent", version: decisionMark("d") } },
    },
  };

  test("one's own agreements come first, finished ones not at all", () => {
    expect(runningAgreements(parts, me).map((one) => one.item)).toEqual(["two", "one"]);
  });
  test("a week from today, soonest first", () => {
    expect(thisWeek(parts, new Date(2026, 10, 22, 23, 50)).map((one) => one.item)).toEqual(["soon", "late"]);
  });
  test("a round waits for whom it asks and who has not answered", () => {
    expect(openRounds(parts, [me], me).map((one) => one.item)).toEqual(["a"]);
  });
});

test("what nobody may show cannot be chosen", () => {
  for (const part of ["private", "access", "diary@00", "house@00"]) expect(canShow(part, "00")).toBe(false);
  expect(canShow("plan", "00")).toBe(true);
  expect(canShow("voice@00", "00")).toBe(true);
  expect(canShow("voice@11", "00")).toBe(false);
  expect(members({ a: true, b: false })).toEqual(["a"]);
  expect(members(["a", 1])).toEqual(["a"]);
});

describe("how it stays one's own", () => {
  const words: Parts = { question: { question: { question: { text: "Wie helpt er?" } } } };

  test("is asked of who was invited after their own first words, not before", () => {
    expect(hasOwnToKeep({ role: "member", contributed: false }, words)).toBe(false);
    expect(hasOwnToKeep({ role: "coordinator", contributed: false }, words)).toBe(false);
    expect(hasOwnToKeep({ role: "member", contributed: true }, words)).toBe(true);
  });
  test("is asked of an owner as soon as there is something", () => {
    expect(hasOwnToKeep({ role: "owner", contributed: false }, {})).toBe(false);
    expect(hasOwnToKeep({ role: "owner", contributed: false }, words)).toBe(true);
  });
});

describe("the home screen", () => {
  const offer = () => {
    const event = new Event("beforeinstallprompt", { cancelable: true });
    const prompt = vi.fn(async () => ({ outcome: "dismissed" as const }));
    return Object.assign(event, { prompt });
  };

  test("the browser's question waits until somebody presses, and is asked once", async () => {
    const page = new EventTarget();
    const install = new Install();
    install.listen(page);
    expect(install.offered).toBe(false);
    const event = offer();
    page.dispatchEvent(event);
    expect([event.defaultPrevented, install.offered]).toEqual([true, true]);
    expect(event.prompt).not.toHaveBeenCalled();
    expect(await install.ask()).toBe(false);
    expect(install.offered).toBe(false);
    expect(await install.ask()).toBe(false);
    expect(event.prompt).toHaveBeenCalledTimes(1);
  });
  test("is not offered where the app was put there another way", () => {
    const page = new EventTarget();
    const install = new Install();
    install.listen(page);
    page.dispatchEvent(offer());
    page.dispatchEvent(new Event("appinstalled"));
    expect(install.offered).toBe(false);
  });
});

describe("what was read again", () => {
  const read = () => ({
    plan: { agreements: { a: { what: "eten", who: { x: true } }, b: { what: "slapen", list: ["x", "y"] } } },
    none: null,
    photo: new Uint8Array([1, 2]),
  });

  test("is what was there, piece by piece, where nothing is different", () => {
    const before = { ...read(), photo: null };
    expect(sharing(before, { ...read(), photo: null })).toBe(before);
    expect(sharing(undefined, before)).toBe(before);
    expect(sharing(before, null as never)).toBeNull();
  });
  test("is new where it is different, and only there", () => {
    const before = read();
    const now = read();
    now.plan.agreements.b.what = "spelen";
    const told = structuredClone(now);
    const found = sharing(before, now);
    expect(found).toEqual(told);
    expect(found).not.toBe(before);
    expect(found.plan.agreements.a).toBe(before.plan.agreements.a);
    expect(found.plan.agreements.b.list).toBe(before.plan.agreements.b.list);
    // What is given is changed by nobody.
    expect(now).toEqual(told);
    expect(before).toEqual(read());
  });
  test("tells another order, a piece more or less, a list from an object, and what only looks alike", () => {
    const cases: [unknown, unknown][] = [
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [{ a: 1 }, { a: 1, b: undefined }],
      [{ a: 1, b: undefined }, { a: 1 }],
      [["x"], { 0: "x" }],
      [["x", "y"], ["x"]],
      [{ a: 0 }, { a: -0 }],
      [{ a: "1" }, { a: 1 }],
      [{ a: null }, { a: {} }],
      [JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"a":2}}')],
    ];
    for (const [before, now] of cases) {
      const told = structuredClone(now);
      const found = sharing(before, now);
      expect(found).not.toBe(before);
      expect(found).toStrictEqual(told);
      expect(Object.keys(found as object)).toEqual(Object.keys(told as object));
    }
    // Bytes are not looked into.
    const bytes = new Uint8Array([1]);
    expect(sharing({ of: new Uint8Array([1]) }, { of: bytes }).of).toBe(bytes);
  });
});

describe("the log", () => {
  const entry = (n: number, at: string | null): LogEntry => ({
    n,
    what: "join",
    by: "Nora",
    name: "Fatima",
    role: null,
    at,
    text: "join",
  });
  const given = (to: string, copied: string | null): Access => ({
    grant: to,
    to,
    purpose: "",
    parts: [],
    from: null,
    until: "2026-12-31",
    state: "running",
    opened: null,
    copied,
    stopped: null,
    stoppedBy: null,
    selection: null,
  });

  test("tells of a copy, above what is of the same day or before it", () => {
    const log = [
      entry(1, "2026-11-02T20:10:00.000Z"),
      entry(2, "2026-11-10T16:20:00.000Z"),
      entry(3, null),
      entry(4, "2026-11-18T20:01:00.000Z"),
    ];
    const lines = withCopies(log, [
      given("De Wit", "2026-11-10"),
      given("Bos", null),
      given("Yilmaz", "2026-10-01"),
    ]);
    expect(lines.map((one) => (one.what === "copied" ? one.by : one.n))).toEqual([
      4,
      3,
      "De Wit",
      2,
      1,
      "Yilmaz",
    ]);
    expect(lines.filter((one) => one.what === "copied").map(sentence)).toEqual([
      "De Wit maakte een kopie voor zichzelf.",
      "Yilmaz maakte een kopie voor zichzelf.",
    ]);
    expect(log.map((one) => one.n)).toEqual([1, 2, 3, 4]);
  });
});
