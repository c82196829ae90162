// Ours as the app runs it, under Node: the engine of `pwa/src/core`, a store in memory, and the real relay in Python with
// its SQLite. Every edit is an agreement in the plan. What waits is sent at once over the live connection, and what comes
// meanwhile goes together; the app itself waits a quarter of a second after each, so that a word is one record.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { builtAt } from "./built.mjs";

// Node 20 has none of its own.
globalThis.WebSocket ??= WebSocket;

export const PYTHON = process.env.EIGENKRING_PYTHON ?? fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));
const LIMITS = ["frames_per_second", "frames_burst", "opens_per_second", "opens_burst", "manage_per_second", "manage_burst"];

/** The relay, and its process: the trace asks that one for its time. */
export async function serve(folder) {
  const limits = LIMITS.flatMap((name) => ["--limit", `${name}=1e9`]);
  const relay = spawn(PYTHON, ["-m", "eigenkring_server", "--data", `${folder}/relay`, "--port", "0", ...limits], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.on("exit", () => relay.kill());
  // The trace ends us so; without a word the relay would live on.
  process.on("SIGTERM", () => process.exit(0));
  const url = await new Promise((done, fail) => {
    relay.stdout.on("data", (text) => /(http:\S+)/.test(text) && done(/(http:\S+)/.exec(text)[1]));
    relay.once("exit", () => fail(new Error("the relay did not start")));
  });
  return `${url} ${relay.pid}`;
}

/** The engine is made once, and every person's program loads it. */
export async function prepare() {
  const { path, end } = await builtAt("eigenkring.ts");
  return { environment: { EIGENKRING_ENGINE: path }, end };
}

export async function person(url) {
  const { Device, HttpTransport, MemoryStore, Watching, hex } = await import(process.env.EIGENKRING_ENGINE);
  const store = new MemoryStore();
  const device = new Device(store, (relay) => new HttpTransport(relay));
  let home;
  let watching;
  const listeners = new Set();
  // Counting the keys, as it is counted of the peers. The engine is there when the part is.
  const seen = () => {
    const { engine } = home.session.part("plan").fold;
    return engine.keys(engine.root).filter((key) => key.startsWith("agreements/")).length;
  };
  const look = () => {
    for (const listener of listeners) listener();
  };
  let work = Promise.resolve();
  const afterwards = (task) => {
    work = work.then(task);
    return work;
  };
  let wantsSync = false;
  const sync = () => {
    if (wantsSync) return work;
    wantsSync = true;
    return afterwards(async () => {
      wantsSync = false;
      // What cannot be sent now waits, as in the app: a connection may end under a request.
      await home.syncQuietly();
      await watching?.adjust();
      look();
    });
  };
  let note;
  let typed = "";
  let wantsToSend = false;
  const send = async () => {
    if (wantsToSend) return;
    wantsToSend = true;
    await work;
    wantsToSend = false;
    if (!(await watching?.send(hex(home.id)))) await sync();
  };
  const stay = () => {
    watching = new Watching(device, { ring: () => void sync(), show: look });
    return watching.adjust();
  };
  return {
    async create() {
      home = await device.start("Plan", url, "Nora");
      await sync();
      await stay();
      return hex(home.id);
    },
    invite: () => home.invite("member", "x"),
    knock: async (link) => void (await device.join(link, "x")),
    admit: () => home.sync(),
    async join(id) {
      await device.sync();
      home = await device.case(id);
      await sync();
      await stay();
    },
    edit: (_key, text) => {
      void afterwards(() => home.add("plan", "agreements", { what: text }));
      void send();
    },
    async note() {
      note = await afterwards(() => home.add("plan", "agreements", { what: "" }));
      void send();
      return note;
    },
    readNote: async (id) => {
      note = id;
    },
    type: (_at, letter) => {
      typed += letter;
      const words = typed;
      void afterwards(() => home.set("plan", `agreements/${note}/what`, words));
      void send();
    },
    letters: () => (home.show("plan").get("agreements")?.get(note)?.get("what") ?? "").length,
    seen,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** For a trace that does not go on: what is here, and what does not follow. */
    stuck: () => {
      const { part, fold, waits } = home.session.part("plan");
      return {
        seen: seen(),
        isUp: watching?.isUp(hex(home.id)),
        known: store.position(home.id, part.stream)?.length,
        folded: fold.length,
        admitted: fold.ledger.entries.length,
        waits,
        alarms: store.alarms(home.id).map(({ code, about }) => `${code} ${about}`),
        outbox: store.outbox(home.id).length,
      };
    },
    durable: async () => {
      await work;
      // What was sent comes back by itself, of twenty thousand words after some seconds: a sync would keep the whole document.
      for (let at = 0; at < 4_000 && store.outbox(home.id).length > 0; at++) await new Promise((done) => setTimeout(done, 5));
      while (store.outbox(home.id).length > 0) await sync();
    },
    close: async () => {
      await work;
      watching?.end();
    },
  };
}
