import { describe, expect, test } from "vitest";
import type { Fields, Parts, Person } from "../src/app/engine";
import { decisionMark } from "../src/core/consent";
import {
  everybody,
  heard,
  isFull,
  nextState,
  objections,
  ownAnswer,
  reactions,
  stateOf,
} from "../src/ui/rounds";
import { inOrder, partsInOrder } from "../src/ui/schema";

const one = (letter: string, name: string, role: Person["role"] = "member"): Person => ({
  person: letter.repeat(16),
  name,
  role,
  me: letter === "a",
});
const nora = one("a", "Nora", "owner");
const fatima = one("b", "Fatima");
const people = [nora, fatima, one("c", "Sam", "child"), one("d", "Anneke", "coordinator")];
const TEXT = "Fatima komt zes weken bij ons wonen";
const mark = decisionMark(TEXT);
const circle = {
  people: {
    opa: { name: "Opa Henk", stand_in: fatima.person },
    bas: { name: "Bas", status: "named" },
    wim: { name: "Wim", stand_in: nora.person, status: "gone" },
    known: { name: "Fatima", stand_in: nora.person },
  },
};
const asking = (parts: Parts): Parts => ({ circle, ...parts });
const asked: Fields = {
  text: TEXT,
  state: "consent_round",
  asked: { [nora.person]: true, [fatima.person]: true, opa: true },
};
const consents = (who: Person, ...given: Fields[]): Parts => ({
  [`answers@${who.person}`]: { consents: Object.fromEntries(given.map((each, n) => [`x${n}`, each])) },
});
const yes: Fields = { decision: "it", version: mark, answer: "consent" };
const answersOf = (parts: Parts, fields = asked) =>
  heard("it", fields, asking(parts), people).map((each) => each.answer);

describe("the consent round", () => {
  test("everybody of the circle is asked, also who has no phone; a coordinator and a child are not", () => {
    expect(everybody(asking({}), people).map((each) => each.name)).toEqual(["Nora", "Fatima", "Opa Henk"]);
  });
  test("who said nothing is not heard, and nobody is skipped", () => {
    const round = heard("it", asked, asking(consents(nora, yes)), people);
    expect(round.map((each) => [each.name, each.answer])).toEqual([
      ["Nora", "consent"],
      ["Fatima", null],
      ["Opa Henk", null],
    ]);
    expect(isFull(round)).toBe(false);
  });
  test("an answer counts only for the text it was given to", () => {
    expect(answersOf(consents(nora, yes))[0]).toBe("consent");
    expect(answersOf(consents(nora, yes), { ...asked, text: `${TEXT}.` })[0]).toBeNull();
    expect(heard("it", { ...asked, text: "anders" }, asking(consents(nora, yes)), people)[0]?.old).toBe(true);
    expect(answersOf(consents(nora, { ...yes, version: "1" }))[0]).toBeNull();
    expect(answersOf(consents(nora, { ...yes, decision: "other" }))[0]).toBeNull();
  });
  test("nobody puts words into another's mouth: only one's own part speaks for one", () => {
    const parts = consents(nora, yes, { ...yes, for: fatima.person, answer: "objection" });
    expect(answersOf(parts)).toEqual(["consent", "objection", null]);
    expect(heard("it", asked, asking(parts), people)[1]?.via).toBe("Nora");
  });
  test("who has no phone is heard through another, and it says through whom", () => {
    const round = heard("it", asked, asking(consents(fatima, { ...yes, for: "opa" })), people);
    expect(round[2]).toMatchObject({ name: "Opa Henk", answer: "consent", via: "Fatima" });
    expect(round[1]?.answer).toBeNull();
  });
  test("of two answers by one person the objection counts", () => {
    const objection: Fields = { ...yes, answer: "objection", text: "te lang" };
    for (const given of [
      [yes, objection],
      [objection, yes],
    ]) {
      const round = heard("it", asked, asking(consents(nora, ...given)), people);
      expect(objections(round).map((each) => each.why)).toEqual(["te lang"]);
    }
  });
  test("one's own answer to this text is changed, not doubled", () => {
    const parts = asking(consents(nora, { ...yes, version: "old" }, yes, { ...yes, for: "opa" }));
    expect(ownAnswer("it", asked, parts, nora, "")?.item).toBe("x1");
    expect(ownAnswer("it", asked, parts, nora, "opa")?.item).toBe("x2");
    expect(ownAnswer("it", { ...asked, text: "anders" }, parts, nora, "")).toBeUndefined();
  });
  test("reactions of everybody, with what they were about", () => {
    const parts = asking({
      [`answers@${fatima.person}`]: {
        reactions: {
          x: { decision: "it", version: mark, text: "goed idee" },
          y: { decision: "it", version: "old", text: "te lang" },
          z: { decision: "other", text: "niet hier" },
        },
      },
    });
    expect(reactions("it", asked, parts, people).map((each) => [each.name, each.text, each.old])).toEqual([
      ["Fatima", "goed idee", false],
      ["Fatima", "te lang", true],
    ]);
  });
  test("the steps, and the day on which it is looked at again", () => {
    const way = ["draft"];
    for (let at = nextState("draft"); at; at = nextState(at)) way.push(at);
    expect(way).toEqual(["draft", "clarifying", "reacting", "consent_round"]);
    expect(stateOf({ state: "adopted", evaluation: "2026-12-01" }, "2026-11-30")).toBe("adopted");
    expect(stateOf({ state: "adopted", evaluation: "2026-12-01" }, "2026-12-01")).toBe("to_review");
    expect(stateOf({ state: "withdrawn", evaluation: "2026-12-01" }, "2026-12-02")).toBe("withdrawn");
  });
});

test("a list has one order for the family and in a view, whatever the ids", () => {
  const texts = ["Zwemmen", "afwassen", "Bel oma 10", "Bel oma 9"];
  const under = (ids: string[]) =>
    inOrder(
      "plan",
      "agreements",
      Object.fromEntries(texts.map((what, n) => [ids[n] ?? "", { what }]).sort()),
    ).map(([, fields]) => fields.what);
  expect(under(["a", "b", "c", "d"])).toEqual(["afwassen", "Bel oma 9", "Bel oma 10", "Zwemmen"]);
  expect(under(["d", "a", "c", "b"])).toEqual(under(["a", "b", "c", "d"]));
  expect(partsInOrder({ "new@x": 1, plan: 2, question: 3 }).map(([part]) => part)).toEqual([
    "question",
    "plan",
    "new@x",
  ]);
});
