// A member who lies about a photo: what a field says of its stream, its key and its size is somebody else's word. Mirror of
// tests/sim/test_lying_photo.py.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Attachment, packAttachment, parseAttachment } from "../src/core/attachment";
import { exportCase, verified } from "../src/core/exporting";
import { hex, named, type StreamId } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { loadSchema } from "../src/core/schema";
import { carried, chunksHere } from "../src/core/session/attachments";
import { sha256 } from "../src/crypto/kdf";
import { agreements, familyOn, joined } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const DATA = new TextEncoder().encode(`%PDF-1.7 ${"rooster ".repeat(1200)}`);

function claim(stream: Uint8Array, other: Partial<Attachment> = {}): Attachment {
  const plain = { v: 1, stream: named<StreamId>(stream), key: new Uint8Array(32), name: "foto.pdf" };
  const bytes = { type: "application/pdf", size: DATA.length, hash: sha256(DATA), preview: new Uint8Array() };
  return { ...plain, ...bytes, ...other };
}

/** Whatever it says, as an own program would. */
async function write(one: Case, attachment: Attachment): Promise<string> {
  const item = await one.add("plan", "agreements", { what: "kijk eens" });
  const path = ["agreements", item, "photo"];
  await one.session.inTurn(() => one.session.edit("plan", [["set", path, packAttachment(attachment)]]));
  await one.sync();
  return item;
}

/** What a person does who taps it. */
async function look(one: Case, item: string): Promise<string> {
  try {
    return hex(sha256((await one.fetch("plan", `agreements/${item}`)).data));
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function kept({ session }: Case): number[] {
  const streams = [session.charterStream, ...[...session.known().parts.values()].map(({ stream }) => stream)];
  return streams.map((stream) => session.store.records(session.case, stream).length);
}

describe("a member who lies about a photo", () => {
  test.each(["charter", "keys", "plan", "private"])(
    "that lies in a stream of the case (%s) takes nothing away",
    async (target) => {
      const { home, there } = await familyOn(relay.address);
      const { charter } = home;
      const ofPart = charter.parts.get(target)?.stream;
      const stream = ofPart ?? (target === "charter" ? home.session.charterStream : charter.keysStream);
      for (const size of [1, DATA.length, 33_554_432]) {
        const item = await write(there, claim(stream, { size }));
        await home.sync();
        const before = kept(home);
        expect(await look(home, item)).toBe("bad_attachment");
        expect(kept(home)).toEqual(before);
        await home.delete("plan", `agreements/${item}`);
        expect(carried(home.session).size).toBe(0);
        expect(kept(home)).toEqual(before);
        await home.sync();
      }
      await home.add("plan", "agreements", { what: "het werkt nog" });
      await home.sync();
      await there.sync();
      expect(agreements(there)).toEqual(["het werkt nog"]);
    },
    60_000,
  );

  test("a second field that lies about it takes it from nobody", async () => {
    const { nora, home, there } = await familyOn(relay.address);
    const { phone, there: karim } = await joined(home, "Karim");
    await there.sync();
    const item = await home.add("plan", "agreements", { what: "Het rooster" });
    await home.attach("plan", `agreements/${item}`, { name: "rooster.pdf", data: DATA, asIs: true });
    await home.sync();
    await karim.sync();
    expect(await look(karim, item)).toBe(hex(sha256(DATA)));
    const value = home.session.read(home.session.part("plan")).get("agreements")?.get(item)?.get("photo");
    const attachment = parseAttachment(value as string);
    for (const lie of [{ key: new Uint8Array(32) }, { size: 1 }, { hash: new Uint8Array(32) }]) {
      const lying = await write(there, { ...attachment, ...lie });
      for (const one of [home, karim]) {
        await one.sync();
        expect(["unopenable", "bad_attachment"]).toContain(await look(one, lying));
        expect(chunksHere(one.session, attachment.stream).length).toBe(1);
      }
    }
    // Nobody is kept from taking the case along: the true bytes are with it, and it verifies.
    const files = await exportCase(home);
    expect([...files.keys()].filter((name) => name.startsWith("files/")).length).toBe(1);
    await verified(files, loadSchema());
    nora.switch.online = phone.switch.online = false;
    expect(await look(home, item)).toBe(hex(sha256(DATA)));
    expect(await look(karim, item)).toBe(hex(sha256(DATA)));
  }, 150_000);
});
