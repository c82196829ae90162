import { expect, test } from "vitest";
import { progressOf } from "../src/ui/progress";

const people = [
  { person: "k1", name: "Karim", role: "member", me: true },
  { person: "f1", name: "Fatima", role: "member", me: false },
] as const;
const said = (agreement: string, result: string, date: string, more = {}) => ({
  agreement,
  result,
  date,
  ...more,
});

test("of each person the newest word about one agreement, and who was heard through another", () => {
  const parts = {
    circle: { people: { opa: { name: "Opa Henk" } } },
    "voice@k1": {
      progress: {
        a: said("one", "not", "2026-11-01"),
        b: said("one", "done", "2026-11-20"),
        c: said("other", "not", "2026-11-21"),
        d: said("one", "half", "2026-11-19", { for: "opa", text: "soms" }),
      },
    },
    "voice@f1": { progress: { e: said("one", "half", "2026-11-22") } },
    plan: { progress: { f: said("one", "not", "2026-11-23") } },
  };
  const found = progressOf("one", parts, people);
  expect(found.map(({ name, of, result }) => [name, of, result])).toEqual([
    ["Fatima", "", "half"],
    ["Karim", "", "done"],
    ["Karim", "Opa Henk", "half"],
  ]);
});
