// A vector of a part's fold, run: by part.test.ts, and with bent records by rules-oracle.ts.
import { Engine } from "../src/core/crdt";
import { type KindRules, read } from "../src/core/document";
import { type Chain, type Hex, hex, type StreamId, unhex } from "../src/core/ids";
import { changeHash } from "../src/core/part/author";
import { PartFold } from "../src/core/part/fold";
import type { CutLines, Rights } from "../src/core/part/rights";
import type { Verdict } from "../src/core/part/verdict";
import type { Vector } from "./vectors";

/** A charter from plain data: part_world.py, `PlainCharter`. */
function charterFrom(
  given: Vector,
  part: { stream: string; write_room: string; manage_room: string },
): Rights {
  const cuts = given.cuts.map((cut: Vector) => ({
    readEpoch: cut.read_epoch,
    writeEpoch: cut.write_epoch,
    devices: new Set<Hex>(cut.devices),
    actors: new Map(
      Object.entries(cut.actors as Record<string, [number, string]>).map(([tag, [seq, mark]]) => [
        tag,
        { seq, mark: unhex(mark) },
      ]),
    ),
  })) as (CutLines & { writeEpoch: number; devices: Set<Hex> })[];
  const wrote = new Set((given.wrote as [string, number][]).map(([device, epoch]) => `${device} ${epoch}`));
  const devices = Object.entries(given.devices as Record<string, string>);
  return {
    n: given.n,
    devices: new Map(devices.map(([device, sign]) => [device, { sign: unhex(sign) }])),
    cuts: new Map(cuts.length ? [[part.stream, cuts]] : []),
    headIndex: (head) => given.heads[hex(head)],
    epochAt: (room, n) => {
      if (room === part.manage_room) return 1;
      const epochs = (given.epochs as [number, number][]).filter(
        ([since]) => room === part.write_room && since <= n,
      );
      return epochs.length ? Math.max(...epochs.map(([, epoch]) => epoch)) : undefined;
    },
    wroteInEpoch: (device, room, epoch) =>
      room === part.manage_room
        ? given.managed.includes(hex(device))
        : room === part.write_room && wrote.has(`${hex(device)} ${epoch}`),
    cutFor: (stream, device, epoch) =>
      hex(stream) === part.stream
        ? cuts.find((cut) => cut.devices.has(hex(device)) && epoch <= cut.writeEpoch)
        : undefined,
  };
}

function plainVerdict(verdict: Verdict): unknown {
  return {
    admitted: verdict.admitted,
    refused: verdict.refused.map(({ code, device, change }) => [code, device ?? null, change ?? null]),
    waits: verdict.waits,
    unchecked: verdict.unchecked,
    set_aside: verdict.setAside,
    false_before_base: verdict.falseBeforeBase,
    voided: verdict.voided,
    give_back: verdict.giveBack.map(hex),
  };
}

function kindFrom(schema: Record<string, Record<string, string>>): KindRules {
  const fieldsOf = (fields: Record<string, string>) =>
    new Map(Object.entries(fields).map(([name, type]) => [name, { type }]));
  const collections = Object.entries(schema).map(
    ([name, fields]) => [name, { fields: fieldsOf(fields) }] as const,
  );
  return { collections: new Map(collections) };
}

/**
 * A vector of tests/vectors/part from its first step to its last: every verdict, and what came of it. `isTried`: whether each record
 * is tried before it is taken, as a sync does with a snapshot.
 */
export async function foldVector(
  vector: Vector,
  isTried = false,
): Promise<{ verdicts: unknown[]; out: unknown }> {
  const { part, secrets, chains } = vector;
  const stream = unhex<StreamId>(part.stream);
  const fold = new PartFold(
    { stream, name: part.name, writeRoom: part.write_room, manageRoom: part.manage_room },
    (epoch) => (secrets[epoch] ? unhex(secrets[epoch]) : undefined),
    () => new Engine(unhex(vector.reader_actor)),
  );
  const chainAt = (length: number) => (chains[length] ? unhex<Chain>(chains[length]) : undefined);
  const charters = vector.charters.map((given: Vector) => charterFrom(given, part));
  const taken: [number, Uint8Array][] = [];
  const verdicts: unknown[] = [];
  for (const step of vector.steps) {
    const charter = charters[step.charter];
    if (step.do === "take") {
      taken.push([step.index, unhex(step.payload)]);
      if (isTried) await fold.trial(step.index, unhex(step.payload), chainAt, charter);
      verdicts.push(plainVerdict(await fold.take(step.index, unhex(step.payload), chainAt, charter)));
    } else if (step.do === "refold") {
      const records = taken.filter(([index]) => index >= step.from);
      verdicts.push(plainVerdict(await fold.refold(records, chainAt, charter)));
    } else {
      const changes = step.changes.map(unhex);
      fold.engine?.apply(changes);
      fold.takeOwn(changes);
    }
    if (fold.alarm) throw new Error("the engine does not hold what was admitted");
  }
  const pending = fold.pending().map((raw) => hex(changeHash(raw)));
  const newest = [...fold.newestByActor()].map(([actor, { seq, hash }]) => [actor, [seq, hash]]);
  const document = read(fold.engine as Engine, kindFrom(vector.schema));
  const out = {
    admitted: fold.admittedHashes().filter((made) => !pending.includes(made)),
    pending,
    days: fold.ledger.entries.map(({ day }) => day),
    newest: Object.fromEntries(newest),
    document: Object.fromEntries(
      [...document].map(([collection, items]) => [
        collection,
        Object.fromEntries([...items].map(([item, fields]) => [item, Object.fromEntries(fields)])),
      ]),
    ),
  };
  return { verdicts, out };
}
