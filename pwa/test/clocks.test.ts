// Clocks that are years off end nothing, lose nothing, and say so.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { HttpTransport } from "../src/core/transport";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const DAY = 86_400;
const TEN_YEARS = 10 * 365 * DAY;
const now = Math.floor(Date.now() / 1000);
const dayAfter = (days: number) => new Date((now + days * DAY) * 1000).toISOString().slice(0, 10);

/** Nora lets De Wit read until a day, and Anneke is coordinator until then; `own` is Nora's clock, `others` that of the others. */
async function granting() {
  const own = { off: 0 };
  const { nora, home, fatima, there } = await familyOn(relay.address, { clock: () => now + own.off });
  const { there: anneke } = await joined(home, "Anneke", "member", { clock: () => now });
  await home.setRole("Anneke", "coordinator", dayAfter(30));
  const selection = home.selection({ parts: ["plan"] });
  const { grant } = await home.grant("De Wit", "Meedenken", dayAfter(30), selection);
  await there.sync();
  await anneke.sync();
  return { own, nora, home, fatima, there, selection, grant };
}
const isOpen = (one: Case, grant: Uint8Array) => one.charter.grants.get(hex(grant))?.endedN === null;
const names = (one: Case) => one.people().map(({ name }) => name);

describe("two clocks", () => {
  test.each([
    ["the relay says the day", true],
    ["the relay says nothing", false],
  ])("a clock years ahead ends nothing and is told: %s", async (_, isDated) => {
    const { own, nora, home, there, selection, grant } = await granting();
    if (isDated) nora.switch.relayTime = () => now;
    own.off = TEN_YEARS;
    await home.sync();
    await home.sync();
    expect(isOpen(home, grant)).toBe(true);
    expect(names(home)).toContain("Anneke");
    expect(codes(home)).toContain("clock this device");
    await home.add("plan", "agreements", { what: "Dit kan altijd" });
    await home.sync();
    await there.sync();
    expect(agreements(there)).toEqual(["Dit kan altijd"]);
    const writes = [
      () => home.invite("member", "Lea"),
      () => home.grant("Bos", "Schulden", dayAfter(30), selection),
      () => home.setRole("Fatima", "member", dayAfter(30)),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: "clock" });
    own.off = 0;
    await home.sync();
    expect(codes(home)).not.toContain("clock this device");
    expect(await home.invite("member", "Lea")).toContain("#");
  });

  test("a date that has come ends as ever; a relay that lies about the day delays it and ends nothing", async () => {
    const { own, nora, home, grant } = await granting();
    nora.switch.relayTime = () => now + TEN_YEARS;
    await home.sync();
    expect(isOpen(home, grant)).toBe(true);
    expect(codes(home)).toContain("clock this device");
    own.off = 60 * DAY;
    nora.switch.relayTime = () => now;
    await home.sync();
    expect(isOpen(home, grant)).toBe(true);
    nora.switch.relayTime = () => now + 60 * DAY;
    await home.sync();
    await home.sync();
    expect(isOpen(home, grant)).toBe(false);
    expect(names(home)).not.toContain("Anneke");
    expect(codes(home)).not.toContain("clock this device");
  });

  test("a clock before 1970 is no fault of ours", async () => {
    const nora = new Phone({ clock: () => -1_000_000 });
    nora.switch.relayTime = () => now;
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.add("plan", "agreements", { what: "woorden" });
    await home.sync();
    expect(codes(home)).toEqual(["clock this device"]);
    await expect(home.invite("member", "Fatima")).rejects.toMatchObject({
      code: "clock",
      message: expect.stringContaining("1970"),
    });
    expect(agreements(home)).toEqual(["woorden"]);
  });

  test("the time in an answer of the real relay is read", async () => {
    const http = new HttpTransport(relay.address);
    expect(http.relayTime).toBe(null);
    await http.exchange([]).catch(() => {});
    const asked = Math.floor(Date.now() / 1000);
    expect(Math.abs((http.relayTime ?? 0) - asked)).toBeLessThan(600);
  });
});
