// The real relay, as a process of its own: what the tests talk to is what families talk to.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { copyFile, cp, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const EIGENKRING = fileURLToPath(new URL("../../.venv/bin/eigenkring", import.meta.url));
const PYTHON = fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));

export interface Relay {
  readonly address: string;
  /** Ends the process and begins another one on the same port and folder. */
  again(): Promise<void>;
  /** Makes a backup of what it holds now. */
  backUp(): Promise<void>;
  /** Puts the newest backup in the place of what it holds: another generation. */
  putBack(): Promise<void>;
  /** The same, by somebody who copied the file and says nothing: the generation of before. */
  putBackUnsaid(): Promise<void>;
  /** The disk is lost: begins on an empty folder. */
  beginEmpty(): Promise<void>;
  /** Another one with the same past, at another address: an operator can copy files. */
  fork(): Promise<Relay>;
  stop(): Promise<void>;
}

/** The tests come from one address and are not what the limits are for. */
const RELAXED = ["frames", "opens", "manage"]
  .flatMap((what) => [`${what}_per_second`, `${what}_burst`])
  .flatMap((name) => ["--limit", `${name}=1000000`]);

/** `limits`: besides those, as `NAME=NUMBER`. */
export async function startRelay(past?: string, limits: readonly string[] = []): Promise<Relay> {
  const folder = await mkdtemp(join(tmpdir(), "eigenkring-relay-"));
  const data = join(folder, "relay");
  const backup = join(folder, "backup.sqlite");
  if (past) await cp(past, folder, { recursive: true });
  const own = limits.flatMap((limit) => ["--limit", limit]);
  const begin = (port: string): ChildProcess => {
    const command = ["-m", "eigenkring_server", "--data", data, "--port", port, ...RELAXED, ...own];
    return spawn(PYTHON, command, { stdio: ["ignore", "pipe", "pipe"] });
  };
  let child = begin(String(await freePort()));
  const end = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  };
  const address = await announced(child);
  return {
    address,
    async again() {
      await end();
      child = begin(new URL(address).port);
      await announced(child);
    },
    async backUp() {
      await rm(backup, { force: true });
      await run(EIGENKRING, ["relay", "backup", "--data", data, "--to", backup]);
    },
    async putBack() {
      await end();
      await run(EIGENKRING, ["relay", "restore", "--from", backup, "--data", data, "--replace"]);
      child = begin(new URL(address).port);
      await announced(child);
    },
    async putBackUnsaid() {
      await end();
      const file = join(data, "relay.sqlite");
      for (const ending of ["-wal", "-shm"]) await rm(`${file}${ending}`, { force: true });
      await copyFile(backup, file);
      child = begin(new URL(address).port);
      await announced(child);
    },
    async beginEmpty() {
      await end();
      await rm(data, { recursive: true, force: true });
      child = begin(new URL(address).port);
      await announced(child);
    },
    async fork() {
      await end();
      const other = await startRelay(folder);
      child = begin(new URL(address).port);
      await announced(child);
      return other;
    },
    async stop() {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const [FIRST_PORT, LAST_PORT] = [20_000, 32_000];
// Workers of one run never try the same.
const OWN_PORT = Number(process.env.VITEST_POOL_ID ?? 0) % 4;
const given = new Set<number>();

/**
 * Below those that a system gives to connections by itself: one of these may be some client's by the time that a relay which was
 * stopped wants it again. Never twice the same.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const place = Math.floor((Math.random() * (LAST_PORT - FIRST_PORT)) / 4);
    const port = FIRST_PORT + 4 * place + OWN_PORT;
    if (given.has(port)) continue;
    given.add(port);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer()
        .once("error", () => resolve(false))
        .listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

function announced(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (piece: Buffer): void => {
      said += piece.toString();
      const address = /https?:\/\/\S+/.exec(said)?.[0];
      if (address) resolve(address);
    };
    child.stdout?.on("data", listen);
    child.stderr?.on("data", listen);
    child.once("exit", () => reject(new Error(`the relay did not start: ${said}`)));
  });
}
