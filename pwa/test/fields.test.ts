import { render } from "svelte/server";
import { expect, test, vi } from "vitest";

// A field more is an edit of content.json and of nothing else: the file as it would be with two fields more.
vi.mock("../../core/eigenkring/content.json", async (original) => {
  const file = structuredClone((await original<{ default: { parts: unknown[] } }>()).default) as {
    parts: { kind: string; collections: Record<string, { fields: Record<string, unknown> }> }[];
  };
  for (const part of file.parts)
    for (const collection of Object.values(part.collections)) {
      collection.fields.canary = { type: "string", label: { nl: "KANARIEVELD", en: "CANARY FIELD" } };
      collection.fields.carer = { type: "person", label: { nl: "KANARIEMENS", en: "CANARY PERSON" } };
    }
  return { default: file };
});

const { kindRule } = await import("../src/ui/schema");
const { default: AgreementCard } = await import("../src/ui/bits/AgreementCard.svelte");
const { default: ItemForm } = await import("../src/ui/bits/ItemForm.svelte");
const { default: ItemView } = await import("../src/ui/bits/ItemView.svelte");

const people = [{ person: "a".repeat(16), name: "Karim", role: "member" as const, me: false }];
const fields = {
  what: "afwas",
  canary: "KANARIEWAARDE",
  carer: "a".repeat(16),
  newer: "VAN EEN NIEUWERE APP",
};
const rule = kindRule("plan")?.collections.agreements;
if (!rule) throw new Error("no plan");
const at = { id: "c", item: "i", fields, people, rule };

test("a new field is shown on the card of an agreement, with the names of people, also one that this app does not know", () => {
  const { body } = render(AgreementCard, { props: { ...at, writes: true } });
  for (const shown of ["KANARIEVELD", "KANARIEWAARDE", "KANARIEMENS", "Karim", "VAN EEN NIEUWERE APP"])
    expect(body).toContain(shown);
  expect(body).not.toContain("a".repeat(16));
});

test("a new field is asked for, also by a form that puts some fields first", () => {
  const form = {
    id: "c",
    part: "plan",
    collection: "agreements",
    rule,
    fields,
    people,
    done: () => undefined,
  };
  for (const first of [undefined, ["what", "who"]]) {
    const { body } = render(ItemForm, { props: { ...form, ...(first && { first }) } });
    for (const asked of ["KANARIEVELD", "KANARIEMENS"]) expect(body).toContain(asked);
    expect(body.indexOf("item-what")).toBeLessThan(body.indexOf("item-canary"));
  }
});

test("a new field is shown in every other part and in a view", () => {
  const { body } = render(ItemView, {
    props: { rule: kindRule("safety")?.collections.conditions, fields, people },
  });
  for (const shown of ["KANARIEVELD", "KANARIEWAARDE", "KANARIEMENS", "Karim"]) expect(body).toContain(shown);
});
