import { expect, test } from "vitest";
import type { Parts, Person } from "../src/app/engine";
import { suggestions } from "../src/ui/suggestions";

const nora: Person = { person: "a".repeat(16), name: "Nora", role: "owner", me: true };
const fatima: Person = { person: "b".repeat(16), name: "Fatima", role: "member", me: false };
const parts: Parts = {
  circle: { people: { x: { name: "Karim", status: "named" } } },
  [`voice@${fatima.person}`]: {
    suggestions: {
      one: { name: "Bas", relation: "buurman", text: "hij kent Sam goed" },
      two: { name: " karim " },
      three: { name: "Fatima" },
      four: { name: "" },
      five: { name: "Anna" },
    },
    questions: { q: { text: "niet een mens" } },
  },
  [`answers@${fatima.person}`]: { suggestions: { no: { name: "niet uit dit deel" } } },
};

test("whom others thought of, with who did, until they are on the list or laid aside", () => {
  expect(suggestions(parts, [nora, fatima], []).map((one) => [one.name, one.byName, one.why])).toEqual([
    ["Anna", "Fatima", ""],
    ["Bas", "Fatima", "hij kent Sam goed"],
  ]);
  expect(suggestions(parts, [nora, fatima], ["five"]).map((one) => one.name)).toEqual(["Bas"]);
});
