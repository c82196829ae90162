// The end of a case: nothing of it stays at the relay, photos and files included.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { erase } from "../src/core/erasing";
import { unhex } from "../src/core/ids";
import { heldStreams, readCaps } from "../src/core/session/attachments";
import type { OpenPart } from "../src/core/session/parts";
import { HttpTransport } from "../src/core/transport";
import { Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

describe("erasing", () => {
  test("takes the photos and files from the relay too", async () => {
    const phone = new Phone();
    const home = await phone.start("Thuis", relay.address, "Nora");
    const item = await home.add("information", "questions", { text: "Wat staat er?" });
    const data = new TextEncoder().encode("een brief");
    await home.attach("information", `questions/${item}`, { name: "brief.txt", data, asIs: true });
    await phone.sync();
    const part = [...home.session.parts.values()].find((one) => one.part.name === "information") as OpenPart;
    const [held] = heldStreams(home.session, part);
    const stream = unhex<Parameters<typeof readCaps>[2]>(held as string);
    const [cap] = readCaps(home.session, part.part, stream);
    if (!cap) throw new Error("no key to an own file");
    const ask = async () =>
      (
        await new HttpTransport(relay.address).exchange([
          { op: "read", stream, cap, after: 0, max_bytes: 1000 },
        ])
      ).results[0];
    expect(await ask()).toHaveProperty("records");
    await erase(home);
    expect(await ask()).toMatchObject({ code: "closed" });
  });
});
