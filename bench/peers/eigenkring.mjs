// Ours as the app runs it, under Node: the engine of `pwa/src/core`, a store in memory, and the real relay in Python with
// its SQLite. Every edit is an agreement in the plan; what waits is sent at once, and what comes meanwhile goes together.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

// Node 20 has none of its own.
globalThis.WebSocket ??= WebSocket;

const PWA = fileURLToPath(new URL("../../pwa/", import.meta.url));
const PYTHON = process.env.EIGENKRING_PYTHON ?? fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));
const LIMITS = ["frames_per_second", "frames_burst", "opens_per_second", "opens_burst", "manage_per_second", "manage_burst"];

/** The relay, and its process: the trace asks that one for its time. */
export async function serve(folder) {
  const limits = LIMITS.flatMap((name) => ["--limit", `${name}=1e9`]);
  const relay = spawn(PYTHON, ["-m", "eigenkring_server", "--data", `${folder}/relay`, "--port", "0", ...limits], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.on("exit", () => relay.kill());
  const url = await new Promise((done, fail) => {
    relay.stdout.on("data", (text) => /(http:\S+)/.test(text) && done(/(http:\S+)/.exec(text)[1]));
    relay.once("exit", () => fail(new Error("the relay did not start")));
  });
  return `${url} ${relay.pid}`;
}

let ours;
async function engine() {
  if (ours) return ours;
  const { runnerImport } = await import(createRequire(`${PWA}package.json`).resolve("vite"));
  const here = process.cwd();
  process.chdir(PWA);
  const { module } = await runnerImport("../bench/peers/eigenkring.ts", { configFile: false, logLevel: "error" });
  process.chdir(here);
  ours = module;
  return ours;
}

export async function person(url, _folder, before) {
  const { Device, HttpTransport, MemoryStore, Watching, hex } = await engine();
  const store = before?.store ?? new MemoryStore();
  const device = new Device(store, (relay) => new HttpTransport(relay));
  let home;
  let watching;
  let invited;
  let listeners = [];
  const seen = () => home.show("plan").get("agreements")?.size ?? 0;
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
      await home.sync();
      await watching?.adjust();
      for (const listener of listeners) listener();
    });
  };
  const stay = () => {
    watching = new Watching(device, () => void sync());
    return watching.adjust();
  };
  return {
    account: { store },
    async create() {
      const made = await device.start("Plan", url, "Nora");
      home = made;
      await sync();
      await stay();
      return { home: made, id: hex(home.id) };
    },
    /** Being let in is a matter between people; what is timed is what comes after. */
    async prepare(made) {
      invited = await device.join(await made.home.invite("member", "x"), "x");
      await made.home.sync();
    },
    async join(made) {
      if (!before) {
        if (!invited) await this.prepare(made);
        await device.sync();
      }
      home = await device.case(made.id);
      if (url) {
        await sync();
        await stay();
      }
    },
    edit: (_key, text) => {
      void afterwards(() => home.add("plan", "agreements", { what: text }));
      void sync();
    },
    seen,
    whenSeen: (size) =>
      new Promise((done) => {
        const look = () => {
          if (seen() < size) return;
          listeners = listeners.filter((each) => each !== look);
          done();
        };
        listeners.push(look);
        look();
      }),
    durable: async () => {
      await work;
      while (store.outbox(home.id).length > 0) await sync();
    },
    close: async () => {
      await work;
      watching?.end();
    },
  };
}
