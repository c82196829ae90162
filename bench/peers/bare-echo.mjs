// No document, no key, no signature: a WebSocket that commits each message (`bare_echo.py`, WAL and `synchronous = FULL`) and
// passes it on to the other one. What is left of a live edit when everything of ours, and of every peer, is taken away.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { PYTHON } from "./eigenkring.mjs";

/** As large as the frame of one of our edits of the trace: a record of 576 bytes, its stream, its capability. */
const FRAME_BYTES = 658;
const BEFORE = 0;

export async function serve(folder) {
  const script = fileURLToPath(new URL("../bare_echo.py", import.meta.url));
  const echo = spawn(PYTHON, [script, `${folder}/echo.db`], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => echo.kill());
  process.on("SIGTERM", () => process.exit(0));
  const url = await new Promise((done, fail) => {
    echo.stdout.on("data", (text) => /(http:\S+)/.test(text) && done(/(http:\S+)/.exec(text)[1]));
    echo.once("exit", () => fail(new Error("the echo did not start")));
  });
  return `${url} ${echo.pid}`;
}

export async function person(url) {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/pass`);
  await new Promise((done, failed) => {
    socket.once("open", done);
    socket.once("error", failed);
  });
  let count = 0;
  const listeners = new Set();
  socket.on("message", (frame) => {
    // What was written before somebody joined may come late, and was counted then.
    if (frame[0] === BEFORE) return;
    count += 1;
    for (const listener of listeners) listener();
  });
  return {
    create: async () => ({}),
    join: async () => {
      count = 1;
    },
    edit: (key) => {
      const frame = randomBytes(FRAME_BYTES);
      frame[0] = key === "first" ? BEFORE : BEFORE + 1;
      socket.send(frame);
    },
    seen: () => count,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    durable: async () => {},
    close: async () => socket.close(),
  };
}
