import * as Automerge from "@automerge/automerge/slim";
import { expect, test } from "vitest";

test("the CRDT engine runs under Node without the browser's loader", () => {
  let doc = Automerge.from({ words: "own" });
  doc = Automerge.change(doc, (draft) => Automerge.splice(draft, ["words"], 3, 0, " circle"));
  expect(doc.words).toBe("own circle");
});
