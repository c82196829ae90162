// One scenario of one peer: node trace.mjs PEER SCENARIO [EDITS]. Prints one JSON object. Every person is a program of his own
// (`people.mjs`), the server is another; an edit began by the clock of who wrote it and was seen by the clock of who read it.
//   live     one edit, wait until the other has it; again and again. Then once more as many, after WARM_EDITS others: until
//            then every language's engine is still compiling what it runs
//   burst    EDITS single edits at once, until the other has all and the server has written all
//   typing   EDITS letters in one text, ten a second, as a letter each
//   agreements  two people in turn: each answers what the other has written, EDITS in all
//   evening  eight people on one plan, ten edits a second in all, until the last of the others has each
import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DelayedProxy } from "./delay.mjs";
import { person as personOf } from "./people.mjs";

const [, , name, scenario, edits = "200"] = process.argv;
const EDITS = Number(edits);
const LONGEST_MS = 20_000;
const WARM_EDITS = 200;
/** Ten letters a second is a quick typist. */
const LETTER_MS = 100;
const EVENING_PEOPLE = 8;
const EVENING_MS = 100;
/** Until the next edit of a pair: so long everybody may see to what is left of the last one. */
const REST_MS = 20;
const DELAY_MS = Number(process.env.DELAY_MS ?? 0);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const quantile = (samples, part) => samples.toSorted((a, b) => a - b)[Math.floor(samples.length * part)];

const folder = mkdtempSync(join(tmpdir(), "peer-"));
const served = join(folder, "server");
mkdirSync(served);
const peer = await import(`./${name}.mjs`);
const server = fork(new URL("./serve.mjs", import.meta.url), [name, served], { silent: true });
server.stderr.pipe(process.stderr);
const [direct, pid] = await new Promise((done, fail) => {
  server.stdout.once("data", (line) => done(String(line).trim().split(" ")));
  server.once("exit", () => fail(new Error(`${name} did not start`)));
});
const url = DELAY_MS ? await DelayedProxy.before(direct, DELAY_MS) : direct;
/** Of a server that is a program of its own Linux is asked, in hundredths of a second. */
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
const clientsCpuMs = async (people) => {
  const each = await Promise.all(people.map((one) => one.ask("cpu")));
  return each.reduce((sum, one) => sum + one, 0);
};
const bytesIn = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, each) => sum + bytesIn(join(path, each)), 0)
    : statSync(path).size;

/** What all of one peer need and is made once, as the engine of the app. */
const prepared = await peer.prepare?.(folder);
const everybody = [];
const person = async () => {
  const made = await personOf(name, url, {
    program: peer.program?.(join(folder, `home${everybody.length}`)),
    environment: prepared?.environment,
  });
  everybody.push(made);
  return made;
};

async function first() {
  const writer = await person();
  const made = await writer.ask("create");
  writer.tell("first");
  await writer.ask("durable");
  return { writer, made };
}

async function another({ writer, made }) {
  const next = await person();
  await next.ask("knock", await writer.ask("invite"));
  await writer.ask("admit");
  await next.ask("join", made);
  await (await next.expect(1)).came;
  return next;
}

async function pair() {
  const one = await first();
  return { writer: one.writer, reader: await another(one) };
}

/** Nobody should have to guess why a figure is missing: who waits too long is asked what is there. */
async function soon(what, seen, longestMs = LONGEST_MS) {
  let late;
  const given = new Promise((_, fail) => {
    late = setTimeout(async () => {
      const told = Promise.all(everybody.map(async (each) => console.error(JSON.stringify(await each.ask("stuck")))));
      // Somebody may be too busy to say a word.
      await Promise.race([told, wait(1_000)]);
      fail(new Error(`${what} did not come within ${longestMs} ms`));
    }, longestMs);
  });
  return Promise.race([seen, given]).finally(() => clearTimeout(late));
}

/** Until it was seen by everybody who waits for it, and how long each of these edits was under way. */
async function shown(edits) {
  const began = new Map();
  for (const who of new Set(edits.map((each) => each.who))) began.set(who, await who.ask("began"));
  return edits.map(({ who, at, seen }) => seen - began.get(who)[at]);
}

/** What a trace takes of everybody's time, and how long its edits were under way. */
async function costs(people, trace) {
  const relayBefore = await serverCpuMs();
  const clientsBefore = await clientsCpuMs(people);
  const bytesBefore = bytesIn(served);
  const edits = [];
  await trace(edits);
  const took = await shown(edits);
  return {
    p50_ms: quantile(took, 0.5),
    p95_ms: quantile(took, 0.95),
    server_cpu_ms_each: ((await serverCpuMs()) - relayBefore) / EDITS,
    clients_cpu_ms_each: ((await clientsCpuMs(people)) - clientsBefore) / EDITS,
    stored_bytes_each: (bytesIn(served) - bytesBefore) / EDITS,
  };
}

const scenarios = {
  async live() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    let at = 0;
    const typed = async (count) => {
      const edits = [];
      for (const end = at + count; at < end; at++) {
        const { came } = await reader.expect(at + 2);
        writer.tell("edit", at);
        edits.push({ who: writer, at, seen: await soon(`edit ${at}`, came) });
        await wait(REST_MS);
      }
      return shown(edits);
    };
    const took = await typed(EDITS);
    // The fastest tenth says something on a busy machine too; it is kept and not in the table.
    const found = { p50_ms: quantile(took, 0.5), p95_ms: quantile(took, 0.95), p10_ms: quantile(took, 0.1) };
    // Over a long wire what is compiled does not matter.
    if (DELAY_MS) return found;
    await typed(WARM_EDITS);
    const warm = await typed(EDITS);
    return { ...found, warm_p50_ms: quantile(warm, 0.5), warm_p95_ms: quantile(warm, 0.95), warm_p10_ms: quantile(warm, 0.1) };
  },
  async burst() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    const relayBefore = await serverCpuMs();
    const clientsBefore = await clientsCpuMs([writer, reader]);
    const { came } = await reader.expect(EDITS + 1);
    writer.tell("burst", EDITS);
    const seen = await soon("the burst", came, LONGEST_MS + 30 * EDITS);
    const kept = await soon("the end of the burst", writer.ask("durable"), 3 * LONGEST_MS);
    const seconds = (Math.max(seen, kept) - (await writer.ask("began"))[0]) / 1e3;
    return {
      edits_a_second: EDITS / seconds,
      server_cpu_ms_each: ((await serverCpuMs()) - relayBefore) / EDITS,
      clients_cpu_ms_each: ((await clientsCpuMs([writer, reader])) - clientsBefore) / EDITS,
      stored_bytes_each: bytesIn(served) / EDITS,
    };
  },
  async typing() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    const note = await writer.ask("note");
    await writer.ask("durable");
    await reader.ask("read", note);
    await wait(1_000);
    return costs([writer, reader], async (edits) => {
      const { came } = await reader.expectLetters(EDITS);
      for (let at = 0; at < EDITS; at++) {
        writer.tell("type", at);
        await wait(LETTER_MS);
      }
      const letters = await soon("what was typed", came);
      edits.push(...letters.map((seen, at) => ({ who: writer, at, seen })));
    });
  },
  async agreements() {
    const { writer, reader } = await soon("a pair", pair(), 3 * LONGEST_MS);
    return costs([writer, reader], async (edits) => {
      for (let at = 0; at < EDITS; at++) {
        const [who, to] = at % 2 ? [reader, writer] : [writer, reader];
        const { came } = await to.expect(at + 2);
        who.tell("edit", at);
        edits.push({ who, at, seen: await soon(`agreement ${at}`, came) });
      }
    });
  },
  async evening() {
    const one = await first();
    const people = [one.writer];
    while (people.length < EVENING_PEOPLE) people.push(await soon("somebody more", another(one), 3 * LONGEST_MS));
    await wait(1_000);
    return costs(people, async (edits) => {
      const coming = [];
      for (let at = 0; at < EDITS; at++) {
        const who = people[(at * 5) % people.length];
        const others = await Promise.all(people.filter((each) => each !== who).map((each) => each.expect(at + 2)));
        who.tell("edit", at);
        const last = Promise.all(others.map((each) => each.came)).then((seen) => Math.max(...seen));
        coming.push(last.then((seen) => edits.push({ who, at, seen })));
        await wait(EVENING_MS);
      }
      await soon("the evening", Promise.all(coming));
    });
  },
};

function end() {
  server.kill();
  for (const each of everybody) each.end();
  prepared?.end();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  process.exit();
}

process.on("SIGTERM", () => {
  process.exitCode = 1;
  end();
});
try {
  console.log(JSON.stringify({ peer: name, scenario, edits: EDITS, delay_ms: DELAY_MS, ...(await scenarios[scenario]()) }));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  end();
}
