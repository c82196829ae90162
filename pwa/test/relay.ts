// The real relay, as a process of its own: what the tests talk to is what families talk to.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PYTHON = fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));

export interface Relay {
  readonly address: string;
  stop(): Promise<void>;
}

export async function startRelay(): Promise<Relay> {
  const folder = await mkdtemp(join(tmpdir(), "eigenkring-relay-"));
  const command = ["-m", "eigenkring_server", "--data", join(folder, "relay"), "--port", "0"];
  const child = spawn(PYTHON, command, { stdio: ["ignore", "pipe", "pipe"] });
  const address = await announced(child);
  return {
    address,
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
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
