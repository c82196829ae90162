// The leading tab's engine on a store like the browser's: its lock, and what a second opening does to the first.
import "fake-indexeddb/auto";
import { deleteDB, openDB } from "idb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Change } from "../src/app/engine";
import { Host } from "../src/app/host";
import { type Answer, READS, type Verb, WRITES } from "../src/app/messages";
import type { Profile } from "../src/app/profiles";
import { latin1 } from "./latin1";
import { startRelay } from "./relay";

// Nobody answers there: offline is the normal state.
const RELAY = "http://127.0.0.1:9";
let host: Host;
let changes: Change[];
let last = 0;

async function ask(verb: Verb, ...args: unknown[]): Promise<Answer> {
  last += 1;
  return host.answer({ id: last, verb, args });
}
async function value(verb: Verb, ...args: unknown[]): Promise<unknown> {
  const answer = await ask(verb, ...args);
  if (!answer.ok) throw new Error(`${verb}: ${answer.code} ${answer.message}`);
  return answer.value;
}

beforeEach(async () => {
  changes = [];
  host = await Host.open(RELAY, (change) => changes.push(change));
});
afterEach(async () => {
  await host.end();
  await deleteDB("eigenkring");
});

test("a case is begun without a connection, and is there when the app is opened again", async () => {
  const id = await value("start", "Thuis", "Nora");
  await value("set", id, "question", "question/question/text", "Wie helpt er?");
  expect(changes.some((change) => change.case === id)).toBe(true);
  await host.end();
  host = await Host.open(RELAY, () => {});
  expect(await value("cases")).toMatchObject([{ case: id, title: "Thuis", role: "owner", state: "open" }]);
  expect(await value("show", id, "question")).toMatchObject({
    question: { question: { text: "Wie helpt er?" } },
  });
  expect(await ask("sync")).toMatchObject({ ok: false, code: "offline" });
  expect(await value("status")).toMatchObject({ online: false });
});

test("what waits to be sent is told before the answer of what was done, and known at the next start", async () => {
  const id = await value("start", "Thuis", "Nora");
  const waits = async () => ((await value("status")) as { unsent: number }).unsent;
  const begun = await waits();
  changes.length = 0;
  const added = ask("add", id, "information", "questions", { text: "Kan iemand mee?" }).then((answer) => {
    return { answer, told: changes.at(-1)?.unsent };
  });
  expect(await added).toMatchObject({ answer: { ok: true }, told: begun + 1 });
  const { value: item } = (await added).answer as { value: string };
  const letter = { name: "brief.txt", data: new Uint8Array(3), asIs: true };
  await value("attach", id, "information", `questions/${item}`, letter);
  const all = await waits();
  expect(all).toBeGreaterThan(begun + 2); // its words, and the letter itself
  await host.end();
  host = await Host.open(RELAY, () => {});
  // Before any screen opened the case.
  expect(await waits()).toBe(all);
});

test("a case says whether this person wrote something in it with this device", async () => {
  const id = await value("start", "Thuis", "Nora");
  expect(await value("cases")).toMatchObject([{ contributed: false }]);
  expect(await ask("add", id, "plan", "nothing", {})).toMatchObject({ ok: false });
  expect(await value("cases")).toMatchObject([{ contributed: false }]);
  await value("add", id, "plan", "agreements", { what: "Karim rijdt" });
  await host.end();
  host = await Host.open(RELAY, () => {});
  expect(await value("cases")).toMatchObject([{ contributed: true }]);
});

test("a set is a map of value to true for the screens, both ways", async () => {
  const id = await value("start", "Thuis", "Nora");
  const item = await value("add", id, "decisions", "decisions", {
    text: "Samen eten",
    asked: { Karim: true, Oma: true },
  });
  await value("set", id, "decisions", `decisions/${item}/asked`, { Karim: true, Oma: false });
  expect(await value("show", id, "decisions")).toMatchObject({
    decisions: { [item as string]: { asked: { Karim: true } } },
  });
});

test("locked, it answers nothing until the PIN", async () => {
  const id = await value("start", "Thuis", "Nora");
  expect(await value("lockState")).toBe("open");
  expect(await ask("setPin", "12")).toMatchObject({ ok: false, code: "bad_value" });
  await value("setPin", "2468");
  expect(await value("lockState")).toBe("unlocked");
  await value("lock");
  expect(await value("lockState")).toBe("locked");
  for (const verb of ["cases", "views", "status", "sync"] as const) {
    expect(await ask(verb)).toMatchObject({ ok: false, code: "home_locked" });
  }
  expect(await ask("show", id)).toMatchObject({ ok: false, code: "home_locked" });
  await value("wake"); // the page's knock is no fault
  expect(await ask("unlock", "1111")).toMatchObject({ ok: false, code: "bad_code" });
  await value("unlock", "2468");
  expect(await value("cases")).toMatchObject([{ case: id }]);
});

test("two people on one phone: a place each, with a lock of its own, and nothing leads from one to the other", async () => {
  const id = await value("start", "KANARIENORA", "Nora");
  // Whoever leaves the own place open would show it to the other.
  expect(await ask("addProfile")).toMatchObject({ ok: false, code: "not_permitted" });
  await value("setPin", "2468");
  const sign = (await value("addProfile")) as Profile;
  expect(sign).toBe("sun");
  expect(await value("profiles")).toEqual(["house", "sun"]);
  expect(await ask("setPin", null)).toMatchObject({ ok: false, code: "not_permitted" });

  const sam = await Host.open(RELAY, () => {}, sign);
  const his = async (verb: Verb, ...args: unknown[]) => sam.answer({ id: 1, verb, args });
  expect(await his("cases")).toMatchObject({ ok: true, value: [] });
  expect(await his("show", id)).toMatchObject({ ok: false, code: "no_such_case" });
  await his("setPin", "1357");
  await his("start", "KANARIESAM", "Sam");
  await value("lock");
  await his("lock");
  // Each PIN opens one place, and wrong tries at one make nobody wait at the other.
  for (let n = 0; n < 5; n++) expect(await his("unlock", "2468")).toMatchObject({ code: "bad_code" });
  expect(await his("unlock", "1357")).toMatchObject({ code: "slow_down" });
  expect(await ask("unlock", "1357")).toMatchObject({ code: "bad_code" });
  await value("unlock", "2468");
  expect(await value("cases")).toMatchObject([{ title: "KANARIENORA" }]);
  await sam.end();

  // Sam's keys do not open a row of Nora's, were it laid in his store.
  const read = async (name: string, table: string) => {
    const db = await openDB(name);
    const rows = await db.getAll(table);
    db.close();
    return rows;
  };
  expect(await read("eigenkring", "rows")).not.toEqual(await read("eigenkring sun", "rows"));
  const raw = [...(await read("eigenkring", "rows")), ...(await read("eigenkring sun", "rows"))];
  const disk = raw.map((row) => latin1(row)).join("\n");
  for (const canary of ["KANARIENORA", "KANARIESAM", "Sam"]) expect(disk).not.toContain(canary);
  await deleteDB("eigenkring sun");
});

test("a link to another place is refused, and so is a verb that does not exist", async () => {
  const link = `https://elders.example/#${"AQ".padEnd(110, "A")}`;
  expect(await ask("greet", link)).toMatchObject({ ok: false, code: "bad_link" });
  expect(await ask("start", "Thuis", "Nora", "https://elders.example")).toMatchObject({
    ok: false,
    code: "bad_link",
  });
  expect(await ask("end" as Verb)).toMatchObject({ ok: false, code: "bad_argument" });
});

test("a forgotten PIN: this place is emptied and can be used again, the other one stays as it is", async () => {
  await value("start", "KANARIENORA", "Nora");
  expect(await ask("wipe")).toMatchObject({ ok: false, code: "not_permitted" });
  await value("setPin", "2468");
  const place = (await value("addProfile")) as Profile;
  const sam = await Host.open(RELAY, () => {}, place);
  await sam.answer({ id: 1, verb: "start", args: ["Thuis", "Sam"] });
  await value("lock");
  const told = changes.length;
  await value("wipe");
  expect(changes.length).toBeGreaterThan(told);
  expect([await value("lockState"), await value("cases")]).toEqual(["open", []]);
  // Not only out of sight: a new opening finds nothing either, and what is written from now on is kept.
  await value("start", "Opnieuw", "Nora");
  await host.end();
  host = await Host.open(RELAY, () => {});
  expect(await value("cases")).toMatchObject([{ title: "Opnieuw" }]);
  const theirs = await sam.answer({ id: 2, verb: "cases", args: [] });
  expect(theirs).toMatchObject({ ok: true, value: [{ title: "Thuis" }] });
  await sam.end();
  await deleteDB(`eigenkring ${place}`);
});

test("a frozen tab that wakes up writes nothing any more: another one took over", async () => {
  const id = await value("start", "Thuis", "Nora");
  const second = await Host.open(RELAY, () => {});
  expect(await ask("add", id, "plan", "agreements", { what: "te laat" })).toMatchObject({
    ok: false,
    code: "no_home",
  });
  const answer = await second.answer({ id: 1, verb: "show", args: [id, "plan"] });
  expect(answer).toMatchObject({ ok: true, value: { agreements: {} } });
  await second.end();
});

test("it locks itself when nobody touched it, however often the screens read", async () => {
  await value("setPin", "2468");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  try {
    await value("setAutoLockMinutes", 1);
    await vi.advanceTimersByTimeAsync(50_000);
    await value("touch");
    await vi.advanceTimersByTimeAsync(50_000);
    expect(await value("cases")).toEqual([]);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await value("lockState")).toBe("locked");

    // A phone that slept: the hour passed, and no timer ran.
    await value("unlock", "2468");
    vi.setSystemTime(Date.now() + 3_600_000);
    expect(await ask("cases")).toMatchObject({ ok: false, code: "home_locked" });
  } finally {
    vi.useRealTimers();
  }
});

test("a whole book at once is refused, and what was there stays", async () => {
  const id = await value("start", "Thuis", "Nora");
  const item = await value("add", id, "plan", "agreements", { what: "kort" });
  const book = "x".repeat(2_000_000);
  expect(await ask("set", id, "plan", `agreements/${item}/what`, book)).toMatchObject({ code: "too_large" });
  expect(await ask("add", id, "plan", "agreements", { what: book })).toMatchObject({ code: "too_large" });
  // Letters are counted as people and as Python count them: an emoji is one.
  expect(await ask("set", id, "plan", `agreements/${item}/what`, "🌻".repeat(50_001))).toMatchObject({
    code: "too_large",
  });
  expect(await value("show", id, "plan")).toMatchObject({
    agreements: { [item as string]: { what: "kort" } },
  });
  expect(await ask("set", id, "plan", `agreements/${item}/what`, "🌻".repeat(30_000))).toMatchObject({
    ok: true,
  });
});

test("no verb of the screens is taken for something the host does itself", () => {
  const own = [
    "lockState",
    "lock",
    "unlock",
    "setPin",
    "autoLockMinutes",
    "setAutoLockMinutes",
    "wake",
    "touch",
    "passkey",
    "addPasskey",
    "removePasskey",
    "unlockWithPasskey",
    "profiles",
    "addProfile",
    "layBack",
    "losses",
    "dismissLosses",
    "wipe",
  ];
  const shadowed = [...READS, ...WRITES].filter((verb) => verb in Host.prototype);
  expect(shadowed.sort()).toEqual(own.sort());
});

test("words go out over the connection that stands, or when the line is back", async () => {
  const relay = await startRelay();
  // Between two masts: requests fail, the old connection lives on.
  let isCut = false;
  const line = globalThis.fetch;
  const asked = vi.spyOn(globalThis, "fetch").mockImplementation((...given) => {
    return isCut ? Promise.reject(new TypeError("no line")) : line(...given);
  });
  const sockets: WebSocket[] = [];
  vi.stubGlobal(
    "WebSocket",
    class extends WebSocket {
      constructor(address: string) {
        super(address);
        sockets.push(this);
      }
    },
  );
  const family = await Host.open(relay.address, () => {});
  const does = async (verb: Verb, ...args: unknown[]): Promise<unknown> => {
    const answer = await family.answer({ id: 1, verb, args });
    return answer.ok ? answer.value : answer;
  };
  const soon = (expected: object) =>
    vi.waitFor(async () => expect(await does("status")).toMatchObject(expected), { timeout: 60_000 });
  try {
    const id = await does("start", "Thuis", "Nora");
    await soon({ unsent: 0, online: true });
    await vi.waitFor(() => expect(sockets.at(-1)?.readyState).toBe(WebSocket.OPEN), { timeout: 60_000 });
    // It hears of news, so there is nothing to ask for.
    await vi.waitFor(
      async () => {
        const before = asked.mock.calls.length;
        await does("wake");
        expect(asked.mock.calls.length).toBe(before);
      },
      { timeout: 60_000, interval: 200 },
    );
    isCut = true;
    await does("add", id, "plan", "agreements", { what: "Over de oude verbinding" });
    await soon({ unsent: 0 });
    // The phone says that its network went: that is told, and the connection is not believed any more.
    await does("wake", "gone");
    expect(await does("status")).toMatchObject({ unsent: 0, online: false });
    await does("add", id, "plan", "agreements", { what: "Zonder bereik" });
    await soon({ unsent: 1, online: false });
    isCut = false;
    await does("wake");
    await soon({ unsent: 0, online: true });
  } finally {
    asked.mockRestore();
    vi.unstubAllGlobals();
    await family.end();
    await relay.stop();
  }
});
