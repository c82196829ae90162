// One person of one peer in a program of his own: node person.mjs PEER. `people.mjs` leads him, one JSON object a line: in come
// `{"do": verb, "with": [...], "ask": number}`, out go `{"answer": number, "value": ...}` and `{"came": ..., "at": milliseconds}`.
// When an edit began and when it was seen is read from the clock here, so the way of these lines is in no figure.
// `eigenkring_person.py` is the same in Python.
import { createInterface } from "node:readline";
import { letter, now, text, whenSeen } from "./words.mjs";

const { person: personOf } = await import(`./${process.argv[2]}.mjs`);
/** As many single edits as are made before what waits may go. */
const EDITS_AT_ONCE = 20;
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const began = {};
let one;

const verbs = {
  begin: async (url) => {
    one = await personOf(url);
  },
  create: () => one.create(),
  // Who must be let in knocks first; with the others there is nothing to do.
  invite: () => one.invite?.(),
  knock: (link) => one.knock?.(link),
  admit: () => one.admit?.(),
  join: (made) => one.join(made),
  first: () => void one.edit("first", "x"),
  /** Nothing is answered: that would be work on the way of this edit. */
  edit: (at) => {
    began[at] = now();
    one.edit(`a${at}`, text(at));
  },
  burst: async (edits) => {
    began[0] = now();
    for (let at = 0; at < edits; at++) {
      one.edit(`a${at}`, text(at));
      // Each edit is one of its own, as typing is: what waits to be sent may go meanwhile.
      if (at % EDITS_AT_ONCE === EDITS_AT_ONCE - 1) await new Promise((done) => setImmediate(done));
    }
  },
  began: () => began,
  expect: (size) => void whenSeen(one, size).then((at) => say({ came: size, at })),
  note: () => one.note(),
  read: (note) => one.readNote(note),
  type: (at) => {
    began[at] = now();
    one.type(at, letter(at));
  },
  letters: (count) => {
    const at = [];
    const stop = one.onChange(() => {
      const clock = now();
      for (const seen = one.letters(); at.length < seen; ) at.push(clock);
      if (at.length < count) return;
      say({ came: "letters", at });
      queueMicrotask(() => stop());
    });
  },
  durable: async () => {
    await one.durable();
    return now();
  },
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3;
  },
  clock: now,
  stuck: () => ({ seen: one.seen(), ...one.stuck?.() }),
};

createInterface(process.stdin)
  .on("line", async (line) => {
    const { do: verb, with: given = [], ask } = JSON.parse(line);
    const value = await verbs[verb](...given);
    if (ask !== undefined) say({ answer: ask, value });
  })
  // Who leads has gone.
  .on("close", () => process.exit(0));
