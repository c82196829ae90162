/**
 * The core behind a pipe, for tests/interop/test_interop_core.py: one JSON command per line, one JSON answer per line.
 * Bytes are hex. What is refused is answered as `{"error": code}`.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { shake256 } from "@noble/hashes/sha3.js";
import * as compose from "../src/core/charter/compose";
import { type Body, packBody, parseEntry, signEntry } from "../src/core/charter/entry";
import { fold } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { Engine } from "../src/core/crdt";
import { applyIntents, type Intent, read } from "../src/core/document";
import { EigenkringError, Inadmissible } from "../src/core/errors";
import {
  type CapabilityHash,
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  hex,
  type PersonId,
  type RoomSecret,
  type StreamId,
  unhex,
} from "../src/core/ids";
import { checkBag, openBags } from "../src/core/keys";
import { actorOf, makeEditRecord } from "../src/core/part/author";
import { PartFold } from "../src/core/part/fold";
import { Keyring } from "../src/core/rooms";
import { loadSchema, splitPart } from "../src/core/schema";
import { decodeReply, encodeRequest } from "../src/core/wire";
import { DeviceKeys } from "../src/crypto/device";
import { describeCharter, plain } from "./describe";
import "./setup";

interface OpenPart {
  readonly fold: PartFold;
  readonly chains: Map<number, Chain>;
  readonly name: string;
}
const charters = new Map<string, Charter>();
const parts = new Map<string, OpenPart>();
const schema = loadSchema();

type Command = { readonly do: string } & Record<string, never>;
// biome-ignore lint/suspicious/noExplicitAny: commands come from a test that knows their shape
type Given = any;

const COMMANDS: Record<string, (given: Given) => Promise<unknown>> = {
  /** Folds payloads in order; `refused` names those that were passed over. */
  async charter({ id, payloads, chains }) {
    const caseId = unhex<CaseId>(id);
    let charter: Charter | undefined;
    const refused: [number, string][] = [];
    for (const [at, payload] of payloads.entries()) {
      try {
        charter = await fold(charter, unhex(payload), caseId, unhex<Chain>(chains[at]), schema);
      } catch (error) {
        if (!(error instanceof Inadmissible)) throw error;
        refused.push([at, error.code]);
        if (error.code === "future_version") break;
      }
    }
    if (charter) charters.set(id, charter);
    return { charter: charter ? describeCharter(charter) : null, refused };
  },

  /** An entry parsed and signed again by the device of `seed`: Ed25519 gives the same bytes everywhere. */
  async resign({ payload, seed }) {
    const { body } = parseEntry(unhex(payload));
    return { payload: hex(await signEntry(body as Body, (await DeviceKeys.fromSeed(unhex(seed))).sign)) };
  },

  /** A draft made with the same fresh bytes: charter_cast.py, `Random`. */
  async compose({ id, fn, by, args }) {
    const author = authorFrom(by);
    const draft = await COMPOSE[fn]?.(charters.get(id) as Charter, author, args);
    if (!draft) return { draft: null };
    const { body, ...with_ } = draft;
    return { draft: { body: hex(packBody(body)), ...(plain(with_) as object) } };
  },

  /** A request of operations, and the results in a reply to it. */
  async wire({ ops, reply }) {
    const given = ops.map((op: Given) =>
      Object.fromEntries(
        Object.entries(op).map(([key, value]) => [key, isHex(key, value) ? unhex(value) : value]),
      ),
    );
    const request = { id: 7, ops: given, atomic: true, token: "een woord" };
    const results = reply === undefined ? undefined : decodeReply(unhex(reply), request).results;
    return { request: hex(encodeRequest(request)), results: plain(results) };
  },

  async keybag({ id, payload, stream, secret, seed, device }) {
    const keys = await DeviceKeys.fromSeed(unhex(seed));
    const opened = await openBags(
      unhex(payload),
      unhex(id),
      unhex(stream),
      unhex(secret),
      unhex<DeviceId>(device),
      keys.box,
    );
    if (!opened) return { rooms: null };
    await checkBag(opened, charters.get(id) as Charter);
    return { rooms: plain(opened.bag.rooms), blanks: plain(opened.bag.blanks) };
  },

  /** Opens a part for the device of an actor. */
  async part({ id, name, device, incarnation, secrets, chains }) {
    const charter = charters.get(id) as Charter;
    const part = charter.parts.get(name);
    if (!part) return { error: "no_such_part" };
    const { stream, write, manage } = part;
    const actor = actorOf(stream, unhex<DeviceId>(device), unhex(incarnation));
    const at = (epoch: number) => (secrets[epoch] ? unhex(secrets[epoch]) : undefined);
    const folded = new PartFold(
      { stream, name, writeRoom: write, manageRoom: manage },
      at,
      () => new Engine(actor),
    );
    parts.set(name, { fold: folded, chains: new Map(), name });
    return COMMANDS.chains?.({ name, chains });
  },

  async chains({ name, chains }) {
    for (const [length, chain] of chains) partOf(name).chains.set(length, unhex<Chain>(chain));
    return {};
  },

  async take({ id, name, index, payload }) {
    const { fold: folded, chains } = partOf(name);
    const charter = charters.get(id) as Charter;
    const verdict = await folded.take(index, unhex(payload), (length) => chains.get(length), charter);
    return {
      ...(plain(verdict) as object),
      alarm: folded.alarm,
      days: folded.ledger.entries.map(({ day }) => day),
    };
  },

  /** Does what a person did and gives the edit record. */
  async edit({ id, name, seed, device, epoch, length, chain, day, intents }) {
    const { fold: folded } = partOf(name);
    const charter = charters.get(id) as Charter;
    const { stream } = folded.part;
    const engine = folded.engine as Engine;
    const changes = applyIntents(engine, schema.kinds.get(splitPart(name).kind), intents as Intent[]);
    folded.takeOwn(changes);
    const { sign } = await DeviceKeys.fromSeed(unhex(seed));
    const author = {
      device: unhex<DeviceId>(device),
      epoch,
      head: charter.head as EntryHash,
      length,
      chain: unhex<Chain>(chain),
      day,
    };
    return { payload: hex(await makeEditRecord(sign, stream as StreamId, author, changes)) };
  },

  async document({ name }) {
    const { fold: folded } = partOf(name);
    return { document: plainDocument(name, folded.engine as Engine), heads: folded.door.heads() };
  },
};

function isHex(key: string, value: unknown): value is string {
  return key !== "op" && typeof value === "string";
}

function authorFrom({ device, chain, at, name, count, ring, keysSecret }: Given): compose.Author {
  const keyring = new Keyring(keysSecret === null ? undefined : unhex(keysSecret));
  for (const [room, epoch, secret] of ring) keyring.add(room, epoch, unhex<RoomSecret>(secret));
  let drawn = count;
  const random = (size: number) => {
    drawn += 1;
    return shake256(new TextEncoder().encode(`eigenkring cast ${name} ${drawn}`), { dkLen: size });
  };
  return { device: unhex(device), keyring, chain: unhex(chain), at, random, schema };
}

type Composer = (
  charter: Charter,
  author: compose.Author,
  args: Given,
) => compose.Draft | undefined | Promise<compose.Draft | undefined>;
const ids = (list: string[]) => list.map((id) => unhex<PersonId>(id));
const keysOf = ({ sign, box }: Given) => ({ sign: unhex(sign), box: unhex(box) });
const knockOf = ({ statement, seed_sig, device_sig }: Given) => ({
  statement: unhex(statement),
  seed_sig: unhex(seed_sig),
  device_sig: unhex(device_sig),
});
const blanksOf = (list: { stream: string; manage: string }[]) =>
  list.map(({ stream, manage }) => [unhex<StreamId>(stream), unhex<CapabilityHash>(manage)] as const);

const COMPOSE: Record<string, Composer> = {
  found: (_, author, { case: id, keys, own_kinds: ownKinds, ...more }) =>
    compose.found(author, { ...more, caseId: unhex(id), keys: keysOf(keys), ownKinds }),
  invite: (charter, author, { seed, ...more }) =>
    compose.invite(charter, author, { ...more, seed: unhex(seed) }),
  join: (charter, author, { knock, invitation, blanks }) =>
    compose.join(charter, author, knockOf(knock), { invitation: unhex(invitation) }, blanks),
  rooms_and_parts_about: (charter, author, { kinds, blanks }) =>
    compose.roomsAndPartsAbout(charter, author, kinds, blanksOf(blanks)),
  add_parts: (charter, author, { kinds }) => compose.addParts(charter, author, kinds),
  found_anew: (charter, author, { part }) => compose.foundAnew(charter, author, part),
  add_device: (charter, author, { keys, sleeping, device_sig }) =>
    compose.addDevice(charter, author, keysOf(keys), sleeping, unhex(device_sig)),
  let_in: (charter, author, { room, people }) => compose.letIn(charter, author, room, ids(people)),
  let_out: (charter, author, { room, people }) => compose.letOut(charter, author, room, ids(people)),
  turn_due: (charter, author) => compose.turnDue(charter, author),
  set_role: (charter, author, { person, role, until }) =>
    compose.setRole(charter, author, unhex(person), role, until),
  remove_person: (charter, author, { person }) => compose.removePerson(charter, author, unhex(person)),
  remove_device: (charter, author, { devices }) =>
    compose.removeDevice(
      charter,
      author,
      devices.map((id: string) => unhex(id)),
    ),
  leave: (charter, author) => compose.leave(charter, author),
  cancel: (charter, author, { invitation }) => compose.cancel(charter, author, unhex(invitation)),
  grant: (charter, author, given) =>
    compose.grant(charter, author, {
      grant: unhex(given.grant_id),
      doorstep: unhex(given.doorstep),
      down: unhex(given.down),
      up: unhex(given.up),
      seed: unhex(given.seed),
      until: given.until,
      terms: unhex(given.terms),
      granterKey: unhex(given.granter_key),
    }),
  withdraw: (charter, author, { grant_id: id }) => compose.withdraw(charter, author, unhex(id)),
  close: (charter, author) => compose.close(charter, author),
};

function plainDocument(name: string, engine: Engine) {
  const document = read(engine, schema.kinds.get(splitPart(name).kind));
  return Object.fromEntries(
    [...document].map(([collection, items]) => [
      collection,
      Object.fromEntries([...items].map(([item, fields]) => [item, Object.fromEntries(fields)])),
    ]),
  );
}

function partOf(name: string): OpenPart {
  const part = parts.get(name);
  if (!part) throw new Error(`no part ${name} was opened`);
  return part;
}

async function answer(line: string): Promise<unknown> {
  const command = JSON.parse(line) as Command;
  try {
    const run = COMMANDS[command.do];
    return run ? await run(command) : { error: "no_such_command" };
  } catch (error) {
    if (error instanceof EigenkringError) return { error: error.code };
    return { failure: String((error as Error).stack) };
  }
}

export async function serve(input: Readable, output: Writable): Promise<void> {
  for await (const line of createInterface({ input })) {
    output.write(`${JSON.stringify(await answer(line))}\n`);
  }
}
