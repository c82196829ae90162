// What is left of photos and files: one that another replaced at the same time, and chunks of one that was never put anywhere.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Case } from "../src/core/case";
import { hex, type StreamId, unhex } from "../src/core/ids";
import * as attachments from "../src/core/session/attachments";
import { familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const PART = "information";
const letter = (words: string) => ({ name: "brief.txt", data: new TextEncoder().encode(words), asIs: true });

async function ask(one: Case, stream: StreamId) {
  const { part } = one.session.part(PART);
  const [cap] = attachments.readCaps(one.session, part, stream);
  if (!cap) throw new Error("no key to the file");
  const { results } = await one.transport.exchange([{ op: "read", stream, cap, after: 0, max_bytes: 1000 }]);
  return results[0];
}

function held(one: Case): StreamId[] {
  const found = attachments.heldStreams(one.session, one.session.part(PART));
  return [...found].map((stream) => unhex<StreamId>(stream));
}

describe("a file", () => {
  test("that another one replaced at the same time is closed by who put it there", async () => {
    const { home, there } = await familyOn(relay.address);
    const item = await home.add(PART, "questions", { text: "Wat staat er?" });
    await home.sync();
    await there.sync();
    await there.add(PART, "questions", { text: "zo wint de hare" });
    await there.attach(PART, `questions/${item}`, letter("van Fatima"));
    await home.attach(PART, `questions/${item}`, letter("van Nora"));
    const [lost] = held(home);
    if (!lost) throw new Error("nothing was attached");
    await home.sync();
    expect(await ask(home, lost)).toHaveProperty("records");
    await there.sync();
    const [won] = held(there);
    if (!won) throw new Error("neither won");
    expect(hex(won)).not.toBe(hex(lost));
    expect(await ask(home, lost)).toHaveProperty("records");
    await home.sync();
    expect(await ask(home, lost)).toMatchObject({ code: "closed" });
    expect(attachments.chunksHere(home.session, lost)).toEqual([]);
    expect(held(home).map(hex)).toEqual([hex(won)]);
    expect(await ask(home, won)).toHaveProperty("records");
  });

  test("that was never put anywhere, because the app ended there, leaves no chunks", async () => {
    const { nora, home } = await familyOn(relay.address);
    const item = await home.add(PART, "questions", { text: "Wat staat er?" });
    await home.sync();
    await new Promise<void>((resolve) => {
      const editAhead = () => {
        resolve();
        return new Promise(() => {}); // the page is gone
      };
      Object.assign(home.session, { editAhead });
      void home.attach(PART, `questions/${item}`, letter("nooit bewaard"));
    });
    const later = await new Phone({}, nora.store as ConstructorParameters<typeof Phone>[1]).case(
      hex(home.id),
    );
    const [orphan] = attachments.carried(later.session).values();
    if (!orphan) throw new Error("no chunks were kept");
    expect(attachments.chunksHere(later.session, orphan.stream)).toHaveLength(1);
    // Another one that waits for the relay is named, and stays.
    const other = await later.add(PART, "questions", { text: "En deze?" });
    await later.attach(PART, `questions/${other}`, letter("wel bewaard"));
    await later.sync();
    expect(attachments.chunksHere(later.session, orphan.stream)).toEqual([]);
    const [kept] = held(later);
    expect([...attachments.carried(later.session).keys()]).toEqual([hex(kept as StreamId)]);
    expect(attachments.chunksHere(later.session, kept as StreamId)).toHaveLength(1);
    expect(await ask(later, kept as StreamId)).toHaveProperty("records");
    expect(await ask(later, orphan.stream)).toMatchObject({ code: "no_stream" });
  });
});
