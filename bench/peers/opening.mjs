// EDITS by eleven people of cojson or automerge-repo, who write in turn: node opening.mjs PEER [EDITS]. Prints one JSON object;
// ours are led by `../opening.py`. A program of its own for the server, for the household (those eleven, and the daily opening), and for each newcomer.
//   words_ms      the opening from the own store until all words were read, in a program that has run for a while; the best of three
//   write_ms      the same until one more word was written and is kept there
//   newcomer_ms   the first opening in a fresh program, from an invitation until all is there; the median of three
//   stored_bytes  all files of the server when everybody left, without pages that are free to be written again
// `load_ms` and `save_bytes`: what the document engine alone takes for what was written, where the peer has one.
import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { now, text } from "./words.mjs";

const TURN = 40;
const TIMES = 3;
const DAILY = ["words_ms", "words_cpu_ms", "write_ms", "write_cpu_ms", "load_ms", "load_cpu_ms"];
const [, , name, edits = "10000", role] = process.argv;
const EDITS = Number(edits);
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};

/** Milliseconds of the clock and of this process, since it was called. */
const timer = () => {
  const began = [now(), cpu()];
  return () => ({ ms: now() - began[0], cpu_ms: cpu() - began[1] });
};

/** Answers what the parent asks, one thing after the other. */
function serveParent(does) {
  let work = Promise.resolve();
  process.on("message", ({ do: what, with: given }) => {
    work = work.then(async () => process.send({ is: (await does[what](given)) ?? null }));
    work.catch((error) => {
      console.error(error);
      process.exit(1);
    });
  });
  process.on("disconnect", () => process.exit(0));
}

async function asChild() {
  const peer = await import(`./opening-${name}.mjs`);
  let one;
  if (role === "household") {
    serveParent({
      begin: async ({ url, folder }) => {
        one = await peer.household(url, folder, { edits: EDITS, turn: TURN, text, now, timer });
        return one.facts;
      },
      daily: async () => {
        const found = await one.daily();
        const before = cpu();
        const load = one.load ? { load_ms: one.load(), load_cpu_ms: 0 } : {};
        if (one.load) load.load_cpu_ms = cpu() - before;
        return { ...found, ...load };
      },
      invite: () => one.invite(),
      letIn: () => one.letIn(),
    });
  } else {
    serveParent({
      begin: async ({ url, invited }) => {
        one = await peer.newcomer(url, invited);
      },
      arrive: async () => {
        const began = now();
        const before = cpu();
        await one.arrive();
        return { newcomer_ms: now() - began, newcomer_cpu_ms: cpu() - before };
      },
    });
  }
}

const best = (runs, key, of) => {
  const found = runs.map((run) => run[key]).filter((figure) => figure !== undefined);
  return found.length > 0 ? { [key]: of(found) } : {};
};
const least = (runs, key) => best(runs, key, (list) => Math.min(...list));
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const bytesIn = (path) =>
  statSync(path).isDirectory() ? readdirSync(path).reduce((sum, each) => sum + bytesIn(join(path, each)), 0) : statSync(path).size;

async function asParent() {
  const folder = mkdtempSync(join(tmpdir(), "opening-"));
  const served = join(folder, "served");
  mkdirSync(served);
  const running = [];
  process.on("exit", () => {
    for (const child of running) child.kill("SIGTERM");
  });
  process.on("SIGTERM", () => process.exit(1));
  const child = (which) => {
    const made = fork(new URL(import.meta.url), [name, edits, which]);
    running.push(made);
    const ask = (what, given) =>
      new Promise((done, fail) => {
        const ended = () => fail(new Error(`${which} ended at ${what}`));
        made.once("exit", ended);
        made.once("message", ({ is }) => {
          made.off("exit", ended);
          done(is);
        });
        made.send({ do: what, with: given });
      });
    const end = () =>
      new Promise((done) => {
        made.once("exit", done);
        made.disconnect();
      });
    return { ask, end };
  };
  const server = fork(new URL("./serve.mjs", import.meta.url), [name, served], { silent: true });
  running.push(server);
  server.stderr.pipe(process.stderr);
  const url = await new Promise((done, fail) => {
    server.stdout.once("data", (line) => done(String(line).trim()));
    server.once("exit", () => fail(new Error(`${name} did not start`)));
  });
  server.stdout.resume();
  const home = child("household");
  const began = now();
  const facts = await home.ask("begin", { url, folder });
  const wrote_s = (now() - began) / 1e3;
  console.error(`${name}: written in ${wrote_s.toFixed(0)} s`);
  const daily = [];
  for (let turn = 0; turn < TIMES; turn++) daily.push(await home.ask("daily"));
  const newcomers = [];
  for (let turn = 0; turn < TIMES; turn++) {
    const someone = child("newcomer");
    await someone.ask("begin", { url, invited: await home.ask("invite") });
    await home.ask("letIn");
    newcomers.push(await someone.ask("arrive"));
    await someone.end();
  }
  await home.end();
  const stopped = new Promise((done) => server.once("exit", done));
  server.kill("SIGTERM");
  await stopped;
  // As a server that was stopped leaves them: what waits in a log belongs to the file.
  const files = readdirSync(served, { recursive: true }).map((each) => join(served, each));
  let free = 0;
  for (const file of files.filter((each) => each.endsWith(".db"))) {
    const db = new Database(file);
    db.pragma("wal_checkpoint(TRUNCATE)");
    free += db.pragma("freelist_count", { simple: true }) * db.pragma("page_size", { simple: true });
    db.close();
  }
  const stored_bytes = bytesIn(served) - free;
  rmSync(folder, { recursive: true, force: true });
  return {
    peer: name,
    wrote_s,
    ...facts,
    ...Object.assign({}, ...DAILY.map((key) => least(daily, key))),
    ...best(newcomers, "newcomer_ms", median),
    ...best(newcomers, "newcomer_cpu_ms", median),
    stored_bytes,
  };
}

if (role) await asChild();
else {
  console.log(JSON.stringify(await asParent()));
  process.exit(0);
}
