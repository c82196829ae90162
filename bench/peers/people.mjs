// The people of a trace, each a program of his own (`person.mjs`, `eigenkring_person.py`), as those who lead the trace see them.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { now } from "./words.mjs";

/** Where each person in Node leaves what V8 saw him do (`--cpu-prof`), when it is asked for. */
const PROFILES = process.env.PROFILES;
const PROGRAM = fileURLToPath(new URL("./person.mjs", import.meta.url));

/** Somebody of the peer `name`; `program` and `environment` where they are not those of every peer in Node. */
export async function person(name, url, { program, environment } = {}) {
  const profiled = PROFILES ? ["--cpu-prof", `--cpu-prof-dir=${PROFILES}`] : [];
  const [command, ...given] = program ?? [process.execPath, ...profiled, PROGRAM, name];
  const child = spawn(command, given, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...environment } });
  const ended = (code, signal) => {
    throw new Error(`a person's program ended: ${code ?? signal}`);
  };
  child.once("exit", ended);
  const end = () => {
    child.off("exit", ended);
    // Who is profiled writes it down first; he goes when nobody leads him.
    if (PROFILES) child.stdin.end();
    else child.kill("SIGKILL");
  };
  process.on("exit", end);
  let number = 0;
  const answers = new Map();
  const comings = new Map();
  createInterface(child.stdout).on("line", (line) => {
    // A library may print something of its own.
    if (!line.startsWith("{")) return;
    const said = JSON.parse(line);
    if (said.came !== undefined) {
      comings.get(said.came)(said.at);
      comings.delete(said.came);
    } else {
      answers.get(said.answer)(said.value ?? null);
      answers.delete(said.answer);
    }
  });
  const tell = (what, ...given) => void child.stdin.write(`${JSON.stringify({ do: what, with: given })}\n`);
  const ask = (what, ...given) =>
    new Promise((done) => {
      number += 1;
      answers.set(number, done);
      child.stdin.write(`${JSON.stringify({ do: what, with: given, ask: number })}\n`);
    });
  /** There is a promise when the other one looks already; it gives when it came there. */
  const expected = async (what, key, of) => {
    const came = new Promise((done) => comings.set(key, done));
    await ask(what, of);
    return { came };
  };
  const before = now();
  const clock = await ask("clock");
  if (!(before < clock && clock < now())) throw new Error("two programs do not have one clock");
  await ask("begin", url);
  return {
    tell,
    ask,
    end,
    expect: (size) => expected("expect", size, size),
    expectLetters: (count) => expected("letters", "letters", count),
  };
}
