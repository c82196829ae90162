import { describe, expect, test } from "vitest";
import type { Parts, Person } from "../src/app/engine";
import { decisionMark } from "../src/core/consent";
import { hue, initials, shortName } from "../src/ui/names";
import { caseHref, linkIn, parseRoute } from "../src/ui/route";
import { canShow, members } from "../src/ui/schema";
import { openRounds, runningAgreements, thisWeek } from "../src/ui/waits";

describe("addresses", () => {
  const secret = "AQ".repeat(50);

  test("a secret is told from a route", () => {
    expect(linkIn(`https://kring.example/#${secret}`)).toBe(`https://kring.example/#${secret}`);
    for (const hash of ["", "#/", "#/case/abc/plan", "#main", `#/${secret}`, `#${secret}?x`]) {
      expect(linkIn(`https://kring.example/${hash}`)).toBeNull();
    }
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
