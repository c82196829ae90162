// One scenario of one peer: node trace.mjs PEER SCENARIO [EDITS]. Prints one JSON object.
//   live     one edit, wait until the other has it; again and again. Then once more as many, after WARM_EDITS others: until
//            then every language's engine is still compiling what it runs
//   burst    EDITS single edits at once, until the other has all and the server has written all
//   typing   EDITS letters in one text, ten a second, as a letter each
//   agreements  two people in turn: each answers what the other has written, EDITS in all
//   evening  eight people on one plan, ten edits a second in all, until the last of the others has each
import { fork } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DelayedProxy } from "./delay.mjs";

const [, , name, scenario, edits = "200"] = process.argv;
const EDITS = Number(edits);
const LONGEST_MS = 20_000;
const WARM_EDITS = 200;
/** Ten letters a second is a quick typist. */
const LETTER_MS = 100;
const EVENING_PEOPLE = 8;
const EVENING_MS = 100;
const DELAY_MS = Number(process.env.DELAY_MS ?? 0);
const WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat".split(" ");
const text = (at) => Array.from({ length: 6 }, (_, nth) => WORDS[(at * 7 + nth * 5) % WORDS.length]).join(" ");
const now = () => Number(process.hrtime.bigint()) / 1e6;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const quantile = (samples, part) => samples.toSorted((a, b) => a - b)[Math.floor(samples.length * part)];

const folder = mkdtempSync(join(tmpdir(), "peer-"));
const server = fork(new URL("./serve.mjs", import.meta.url), [name, folder], { silent: true });
server.stderr.pipe(process.stderr);
const [direct, pid] = await new Promise((done, fail) => {
  server.stdout.once("data", (line) => done(String(line).trim().split(" ")));
  server.once("exit", () => fail(new Error(`${name} did not start`)));
});
const url = DELAY_MS ? await DelayedProxy.before(direct, DELAY_MS) : direct;
/** Of a program of its own Linux is asked, in hundredths of a second. */
const cpuMsOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
const serverCpuMs = async () => {
  if (pid) return cpuMsOf(pid);
  server.send("cpu");
  const { user, system } = await new Promise((done) => server.once("message", done));
  return (user + system) / 1e3;
};
/** This process, and people who are processes of their own. */
const clientsCpuMs = (people) => {
  const { user, system } = process.cpuUsage();
  return people.reduce((sum, each) => sum + (each.pid ? cpuMsOf(each.pid) : 0), (user + system) / 1e3);
};
const bytesIn = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, each) => sum + bytesIn(join(path, each)), 0)
    : statSync(path).size;

const { person: personOf } = await import(`./${name}.mjs`);
const everybody = [];
const person = async (...of) => {
  const made = await personOf(...of);
  everybody.push(made);
  return made;
};

async function pair() {
  const writer = await person(url);
  const made = await writer.create();
  writer.edit("first", "x");
  await writer.durable();
  const reader = await person(url);
  await reader.join(made);
  await reader.whenSeen(1);
  return { writer, reader };
}

/** Nobody should have to guess why a figure is missing: who waits too long is asked what is there. */
async function soon(what, seen, longestMs = LONGEST_MS) {
  let late;
  const given = new Promise((_, fail) => {
    late = setTimeout(() => {
      for (const each of everybody) console.error(JSON.stringify(each.stuck?.() ?? {}));
      fail(new Error(`${what} did not come within ${longestMs} ms`));
    }, longestMs);
  });
  return Promise.race([seen, given]).finally(() => clearTimeout(late));
}

/** What a trace takes of everybody's time, and how long its edits were under way. */
async function costs(people, trace) {
  const relayBefore = await serverCpuMs();
  const clientsBefore = clientsCpuMs(people);
  const bytesBefore = bytesIn(folder);
  const took = [];
  await trace(took);
  return {
    p50_ms: quantile(took, 0.5),
    p95_ms: quantile(took, 0.95),
    server_cpu_ms_each: ((await serverCpuMs()) - relayBefore) / EDITS,
    clients_cpu_ms_each: (clientsCpuMs(people) - clientsBefore) / EDITS,
    stored_bytes_each: (bytesIn(folder) - bytesBefore) / EDITS,
  };
}

const scenarios = {
  async live() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    let at = 0;
    const typed = async (count) => {
      const took = [];
      for (const end = at + count; at < end; at++) {
        const there = reader.whenSeen(at + 2);
        const began = now();
        writer.edit(`a${at}`, text(at));
        await soon(`edit ${at}`, there);
        took.push(now() - began);
        await new Promise((done) => setTimeout(done, 20));
      }
      return took;
    };
    const took = await typed(EDITS);
    const first = { p50_ms: quantile(took, 0.5), p95_ms: quantile(took, 0.95) };
    // Over a long wire what is compiled does not matter.
    if (DELAY_MS) return first;
    await typed(WARM_EDITS);
    const warm = await typed(EDITS);
    return { ...first, warm_p50_ms: quantile(warm, 0.5), warm_p95_ms: quantile(warm, 0.95) };
  },
  async burst() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    const relayBefore = await serverCpuMs();
    const clientsBefore = clientsCpuMs([writer, reader]);
    const there = reader.whenSeen(EDITS + 1);
    const began = now();
    for (let at = 0; at < EDITS; at++) {
      writer.edit(`a${at}`, text(at));
      // Each edit is one of its own, as typing is: what waits to be sent may go meanwhile.
      if (at % 20 === 19) await new Promise((done) => setImmediate(done));
    }
    await soon("the burst", there, LONGEST_MS + 30 * EDITS);
    await soon("the end of the burst", writer.durable(), 3 * LONGEST_MS);
    const seconds = (now() - began) / 1e3;
    return {
      edits_a_second: EDITS / seconds,
      server_cpu_ms_each: ((await serverCpuMs()) - relayBefore) / EDITS,
      clients_cpu_ms_each: (clientsCpuMs([writer, reader]) - clientsBefore) / EDITS,
      stored_bytes_each: bytesIn(folder) / EDITS,
    };
  },
  async typing() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    const note = await writer.note();
    await writer.durable();
    await reader.readNote(note);
    await wait(1_000);
    const relayBefore = await serverCpuMs();
    const bytesBefore = bytesIn(folder);
    const said = [];
    const took = [];
    const come = async () => {
      // Looked at as a screen is drawn; the looking is ours, so the clients' processor time is not told here.
      while (took.length < EDITS) {
        for (const seen = reader.letters(); took.length < seen; ) took.push(now() - said[took.length]);
        await wait(1);
      }
    };
    const there = come();
    for (let at = 0; at < EDITS; at++) {
      said.push(now());
      writer.type(at, WORDS[at % WORDS.length][0]);
      await wait(LETTER_MS);
    }
    await soon("what was typed", there);
    return {
      p50_ms: quantile(took, 0.5),
      p95_ms: quantile(took, 0.95),
      server_cpu_ms_each: ((await serverCpuMs()) - relayBefore) / EDITS,
      stored_bytes_each: (bytesIn(folder) - bytesBefore) / EDITS,
    };
  },
  async agreements() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    return costs([writer, reader], async (took) => {
      for (let at = 0; at < EDITS; at++) {
        const [from, to] = at % 2 ? [reader, writer] : [writer, reader];
        const there = to.whenSeen(at + 2);
        const began = now();
        from.edit(`a${at}`, text(at));
        await soon(`agreement ${at}`, there);
        took.push(now() - began);
      }
    });
  },
  async evening() {
    const writer = await person(url);
    const made = await writer.create();
    writer.edit("first", "x");
    await writer.durable();
    const people = [writer];
    while (people.length < EVENING_PEOPLE) {
      const next = await person(url);
      await soon("somebody more", next.join(made), 3 * LONGEST_MS);
      await soon("what was there", next.whenSeen(1), 3 * LONGEST_MS);
      people.push(next);
    }
    await wait(1_000);
    return costs(people, async (took) => {
      const coming = [];
      for (let at = 0; at < EDITS; at++) {
        const who = people[(at * 5) % people.length];
        const began = now();
        const there = Promise.all(people.filter((each) => each !== who).map((each) => each.whenSeen(at + 2)));
        coming.push(there.then(() => took.push(now() - began)));
        who.edit(`a${at}`, text(at));
        await wait(EVENING_MS);
      }
      await soon("the evening", Promise.all(coming));
    });
  },
};

try {
  console.log(JSON.stringify({ peer: name, scenario, edits: EDITS, delay_ms: DELAY_MS, ...(await scenarios[scenario]()) }));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
  process.exit();
}
