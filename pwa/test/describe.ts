/** A charter as plain JSON, every field of it: tests/interop and the vectors compare two languages by this. */
import { fold } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { type CaseId, type Chain, hex, unhex } from "../src/core/ids";
import { loadSchema } from "../src/core/schema";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Maps by their keys in order, sets in order, bytes as hex, field names as Python's. */
export function plain(value: unknown): Json {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Set) return [...value].map(plain).sort();
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => [String(key), plain(item)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [snake(key), plain(item)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return value === undefined ? null : (value as Json);
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function describeCharter(charter: Charter): Json {
  const { heads, ...fields } = charter;
  return { ...(plain(fields) as object), heads: [...heads].map((head) => hex(head)) };
}

export type { Json };

/** What a vector of tests/vectors/charter says of a charter (charter_cast.py, `summary`). */
export function summary(charter: Charter | undefined): Json {
  if (!charter) return { n: 0, head: "00".repeat(32) };
  const all = <T>(map: ReadonlyMap<string, T>, of: (item: T) => unknown) =>
    Object.fromEntries([...map].map(([key, item]) => [key, of(item)]));
  return plain({
    n: charter.n,
    head: charter.head,
    title: charter.title,
    acting: charter.acting,
    closed: charter.closedN,
    ownersN: charter.ownersN,
    circleN: charter.circleN,
    people: all(charter.people, ({ name, role, here, until, readmittedN: readmitted }) => ({
      name,
      role,
      here,
      until,
      readmitted,
    })),
    devices: all(charter.devices, ({ person, sleeping, sinceN: since, untilN: left }) => ({
      person,
      sleeping,
      since,
      left,
    })),
    invitations: all(charter.invitations, ({ state }) => state),
    rooms: all(charter.rooms, ({ name, epoch, due, floor, sinceN: since, people }) => ({
      epoch,
      due,
      floor,
      since,
      people,
      audience: charter.audience(name),
    })),
    due: charter.dueRooms(),
    parts: all(charter.parts, ({ stream, read, write, manage }) => ({ stream, read, write, manage })),
    grants: all(charter.grants, ({ endedN, device }) => ({
      open: endedN === null,
      device: device?.device ?? null,
    })),
    cuts: all(charter.cuts, (cuts) =>
      cuts.map(({ n, readEpoch, writeEpoch, devices, actors }) => ({
        n,
        readEpoch,
        writeEpoch,
        devices,
        actors: all(actors, ({ seq, mark }) => [seq, mark]),
      })),
    ),
    dropped: all(charter.dropped, (n) => n),
    locks: all(charter.locks, ({ epoch, append }) => [epoch, append]),
  });
}

/** A charter of records that are all admitted. */
export async function charterOf(
  caseId: string,
  records: readonly { readonly payload: string; readonly chain: string }[],
): Promise<Charter> {
  let charter: Charter | undefined;
  for (const { payload, chain } of records) {
    charter = await fold(charter, unhex(payload), unhex<CaseId>(caseId), unhex<Chain>(chain), loadSchema());
  }
  if (!charter) throw new Error("a vector without charter");
  return charter;
}
