/**
 * The engine's program, run a little while somebody waits at a door. A browser compiles it twice: quickly, and once more what runs
 * often. For who opens a case for the first time that second time falls into the very seconds in which everything is fed to it;
 * whoever knocks waits anyhow. In Python there is nothing to warm.
 */
import { type Beginning, Engine, ROOT } from "./crdt";

/** In pieces of some hundredths of a second: what waits in between has its turn. */
const PIECES = 10;
const CHANGES_IN_A_PIECE = 10;
const WORDS = "zo lang als wat iemand in een veld schrijft";
const FIELDS = new Map<string, Beginning>([
  ["what", { kind: "text", text: WORDS }],
  ["who", { kind: "set" }],
  ["status", { kind: "scalar", value: "open" }],
]);

let warmed: Promise<void> | undefined;

/** Once in a program's life; nothing comes of it but time. Where the engine does not come, the next one tries again. */
export function warm(engineReady: () => Promise<void>): Promise<void> {
  warmed ??= run(engineReady).catch(() => {
    warmed = undefined;
  });
  return warmed;
}

async function run(engineReady: () => Promise<void>): Promise<void> {
  await engineReady();
  for (let piece = 0; piece < PIECES; piece++) {
    await new Promise((done) => setTimeout(done));
    // Documents of nobody, gone when this returns: no store, no stream and no actor of a device sees them.
    const author = new Engine(new Uint8Array(24).fill(1));
    const reader = new Engine(new Uint8Array(24).fill(2));
    const changes: Uint8Array[] = [];
    for (let at = 0; at < CHANGES_IN_A_PIECE; at++) {
      const made = author.commit((writing) => writing.makeItem(ROOT, `agreements/${at}`, FIELDS));
      if (made) changes.push(made);
    }
    reader.apply(changes);
    reader.whole();
    reader.heads();
  }
}
