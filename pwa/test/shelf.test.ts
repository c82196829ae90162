// The list of cases, in step between a person's own devices, on the real relay.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { erase } from "../src/core/erasing";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import { addDevice, devices, removeDevice } from "../src/core/own-devices";
import { ownWords } from "../src/core/session/comparing";
import { keptBy } from "../src/core/shelf";
import { Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

async function together(...phones: Phone[]): Promise<void> {
  for (let time = 0; time < 3; time++) for (const phone of phones) await phone.sync();
}

const open = (phone: Phone): string[] =>
  phone.store
    .cases()
    .filter(({ state }) => state === "open")
    .map(({ title }) => title)
    .sort();

async function two() {
  const phone = new Phone();
  const home = await phone.start("Thuis", relay.address, "Nora");
  const work = await phone.start("Werk", relay.address, "Nora");
  await work.add("plan", "agreements", { what: "Bellen" });
  await phone.sync();
  const tablet = new Phone();
  await tablet.join(await addDevice(home), "x");
  await together(phone, tablet);
  return { phone, tablet, home, work };
}

describe("the shelf", () => {
  test("adding a device once brings all cases, and what is started later on either", async () => {
    const { phone, tablet, work } = await two();
    expect(open(tablet)).toEqual(["Thuis", "Werk"]);
    const there = await tablet.case(hex(work.id));
    const shown = [...(there.show("plan").get("agreements")?.values() ?? [])];
    expect(shown.map((fields) => fields.get("what"))).toEqual(["Bellen"]);
    await tablet.start("Later", relay.address, "Nora");
    await together(tablet, phone);
    expect(open(phone)).toEqual(["Later", "Thuis", "Werk"]);
    expect((await phone.sync()).alarms).toEqual([]);
  });

  test("what is erased on one is gone from the other and does not come back", async () => {
    const { phone, tablet, work } = await two();
    await erase(work);
    phone.forget(work.id);
    await together(phone, tablet);
    expect(tablet.store.cases().map(({ title }) => title)).toEqual(["Thuis"]);
    expect(phone.store.cases().map(({ title }) => title)).toEqual(["Thuis"]);
  });

  test.each([false, true])(
    "who was removed and invited anew on one comes back on the other too",
    async (empty) => {
      const { phone, tablet } = await two();
      const karim = new Phone();
      const theirs = await karim.start("Bij Karim", relay.address, "Karim");
      await phone.join(await theirs.invite("member", "Nora"), "Nora");
      await together(karim, phone, tablet);
      expect(open(tablet)).toEqual(["Bij Karim", "Thuis", "Werk"]);
      const before = (await tablet.case(hex(theirs.id))).session.me();
      await theirs.remove("Nora");
      await together(phone, tablet);
      expect(open(tablet)).toEqual(["Thuis", "Werk"]);
      if (empty) {
        await erase(await tablet.case(hex(theirs.id)));
        tablet.forget(theirs.id);
        await tablet.sync();
      }
      await phone.join(await theirs.invite("member", "Nora"), "Nora");
      await together(karim, phone, tablet);
      expect(open(tablet)).toEqual(["Bij Karim", "Thuis", "Werk"]);
      const there = await tablet.case(hex(theirs.id));
      expect(hex(there.session.me())).toBe(hex((await phone.case(hex(theirs.id))).session.me()));
      expect(hex(there.session.me())).not.toBe(hex(before));
      await there.add("plan", "agreements", { what: "van de tablet" });
      await together(tablet, karim);
      const shown = [...(theirs.show("plan").get("agreements")?.values() ?? [])];
      expect(shown.map((fields) => fields.get("what"))).toEqual(["van de tablet"]);
      // The devices of who she was there before are no lost ones: both stay on one list.
      await tablet.start("Daarna", relay.address, "Nora");
      await together(tablet, phone);
      expect(open(phone)).toContain("Daarna");
    },
  );

  test("a lost device that is put out of one case is put out of all, and hears of no new one", async () => {
    const { phone, tablet, home, work } = await two();
    const lost = devices(home).find(({ isThis }) => !isThis);
    await removeDevice(home, hex(lost?.device ?? new Uint8Array()));
    await phone.sync();
    expect(devices(work)).toHaveLength(1);
    expect(keptBy(phone.store)).toBeUndefined();
    await phone.start("Na het verlies", relay.address, "Nora");
    await together(phone, tablet);
    expect(open(tablet)).toEqual([]);
    const third = new Phone();
    await third.join(await addDevice(home), "x");
    await together(phone, third);
    expect(open(third)).toEqual(["Na het verlies", "Thuis", "Werk"]);
  });
});

describe("many cases", () => {
  test("wait for their relay together, each on its own, and one that fails keeps no other away", async () => {
    const phone = new Phone();
    for (const title of ["Een", "Twee", "Drie", "Vier"]) await phone.start(title, relay.address, "Anneke");
    await phone.sync();
    let [waiting, most] = [0, 0];
    const stuck = phone.store.cases()[1]?.case as Uint8Array;
    phone.switch.lie = (honest) => async (ops, atomic) => {
      if (ops.some(({ stream }) => hex(stream) === hex(stuck))) throw new Unreachable("offline");
      most = Math.max(most, ++waiting);
      await new Promise((go) => setTimeout(go, 20));
      waiting--;
      return honest(ops, atomic);
    };
    const home = (await phone.cases())[3];
    await home?.add("plan", "agreements", { what: "x" });
    const report = await phone.sync();
    expect(most).toBe(3);
    expect(report.sent).toBe(1);
  });
});

describe("an own device with words to compare", () => {
  test("gets no key before both screens show the same four, and somebody said so", async () => {
    const phone = new Phone();
    const home = await phone.start("Thuis", relay.address, "Nora");
    await phone.sync();
    const link = await addDevice(home, { compare: true });
    expect(link).not.toBe(await addDevice(home));
    const tablet = new Phone();
    const there = await tablet.join(link, "x");
    await phone.sync();
    await tablet.sync();
    const { session } = await tablet.case(hex(there));
    const [asked] = (await home.pending()).filter(({ compare }) => compare);
    expect(asked?.words).toHaveLength(4);
    expect(ownWords(session.store, session.case)).toEqual(asked?.words);
    expect(devices(home)).toHaveLength(1);
    await home.confirm("Nora");
    await together(tablet, phone);
    expect(devices(home)).toHaveLength(2);
    expect(open(tablet)).toEqual(["Thuis"]);
  });
});
