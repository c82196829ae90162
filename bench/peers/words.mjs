// What everybody writes in these traces, and when it was seen.
const WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat".split(" ");

/** Six words: the agreement with this number. */
export const text = (at) => Array.from({ length: 6 }, (_, nth) => WORDS[(at * 7 + nth * 5) % WORDS.length]).join(" ");
export const letter = (at) => WORDS[at % WORDS.length][0];
/** CLOCK_MONOTONIC in milliseconds: the same in every program of one machine, in Python too. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

/** When this person, in this program, had so many agreements before him. */
export const whenSeen = (person, size) =>
  new Promise((done) => {
    let stop;
    const look = () => {
      if (person.seen() < size) return;
      done(now());
      // Some call the listener before they give the way to end it.
      queueMicrotask(() => stop());
    };
    stop = person.onChange(look);
    look();
  });
