// The household of `opening.mjs` of a peer that is always connected: eleven of its people, who write in turn.
import { join } from "node:path";
import { whenSeen } from "./words.mjs";

export async function household({ person, reference }, url, folder, { edits, turn, text, now, timer }) {
  const own = join(folder, "own");
  const first = await person(url, own);
  const made = await first.create();
  first.edit("first", "x");
  await first.durable();
  const people = [first];
  while (people.length < 11) {
    const next = await person(url);
    await next.join(made);
    people.push(next);
  }
  for (let at = 0; at < edits; at++) {
    const who = people[Math.floor(at / turn) % people.length];
    if (at % turn === 0) await whenSeen(who, at + 1);
    who.edit(`a${at}`, text(at));
  }
  const expected = edits + 1;
  await whenSeen(first, expected);
  for (const each of people) await each.durable();
  const { account } = first;
  const saved = reference?.(first);
  let days = 0;
  for (const each of people) await each.close();
  return {
    facts: { edits: expected, ...(saved ? { save_bytes: saved.bytes.length } : {}) },
    // As ours: until every word was read, and until one more was written and is kept.
    async daily() {
      const since = timer();
      const again = await person(null, own, account);
      await again.join(made);
      await whenSeen(again, expected + days);
      const words = again.words();
      if (words.length !== expected + days || !words.every((each) => each.length > 0)) throw new Error("words are missing");
      const read = since();
      again.edit(`day ${days}`, "een woord");
      await again.durable();
      const wrote = since();
      days += 1;
      await again.close();
      return { words_ms: read.ms, words_cpu_ms: read.cpu_ms, write_ms: wrote.ms, write_cpu_ms: wrote.cpu_ms };
    },
    load: saved
      ? () => {
          const began = now();
          saved.load(saved.bytes);
          return now() - began;
        }
      : undefined,
    // The words of those days never left that store.
    invite: async () => ({ made, expected }),
    letIn: async () => {},
    close: async () => {},
  };
}

export async function newcomer({ person }, url, { made, expected }) {
  const someone = await person(url);
  return {
    async arrive() {
      await someone.join(made);
      await whenSeen(someone, expected);
    },
    close: () => someone.close(),
  };
}
