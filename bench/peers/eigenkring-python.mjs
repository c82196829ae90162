// Ours with the Python client: each person is a process of its own (`eigenkring_person.py`) that uses the public library, with a
// home on disk that is as durable as any; the relay is the same. The clock is the trace's, so the two pipes count too.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PYTHON } from "./eigenkring.mjs";

export { serve } from "./eigenkring.mjs";

export async function person(url) {
  const home = mkdtempSync(join(tmpdir(), "home-"));
  const program = fileURLToPath(new URL("./eigenkring_person.py", import.meta.url));
  const child = spawn(PYTHON, [program, home], { stdio: ["pipe", "pipe", "inherit"] });
  const end = () => {
    child.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on("exit", end);
  let ended = false;
  child.once("exit", () => {
    if (!ended) throw new Error("a person's process ended");
  });
  let seen = 0;
  let letters = 0;
  let number = 0;
  let listeners = [];
  const answers = new Map();
  createInterface(child.stdout).on("line", (line) => {
    const said = JSON.parse(line);
    if (said.seen !== undefined) {
      seen = said.seen;
      letters = said.letters;
      for (const listener of listeners) listener();
    } else {
      answers.get(said.answer)(said.value);
      answers.delete(said.answer);
    }
  });
  const tell = (what) => child.stdin.write(`${JSON.stringify(what)}\n`);
  const ask = (what) =>
    new Promise((done) => {
      number += 1;
      answers.set(number, done);
      tell({ ...what, ask: number });
    });
  return {
    pid: child.pid,
    create: async () => ({ id: await ask({ do: "create", url }), ask }),
    async join(made) {
      await ask({ do: "knock", link: await made.ask({ do: "invite" }) });
      await made.ask({ do: "sync" });
      await ask({ do: "sync" });
      await ask({ do: "stay", case: made.id });
    },
    edit: (_key, text) => void tell({ do: "add", text }),
    note: () => ask({ do: "note" }),
    readNote: (note) => ask({ do: "read_note", note }),
    type: (_at, letter) => void tell({ do: "type", letter }),
    letters: () => letters,
    seen: () => seen,
    whenSeen: (size) =>
      new Promise((done) => {
        const check = () => {
          if (seen < size) return;
          listeners = listeners.filter((each) => each !== check);
          done();
        };
        listeners.push(check);
        check();
      }),
    stuck: () => ({ seen }),
    durable: () => ask({ do: "durable" }),
    close: async () => {
      ended = true;
      child.stdin.end();
      await new Promise((done) => child.once("exit", done));
      process.off("exit", end);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
