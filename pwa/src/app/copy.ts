/** What a copy is, and what came of it, as the screens tell it. */
import type { Person } from "../core/charter/state";
import { Misuse } from "../core/errors";
import { BadExport, FILES, MANIFEST, openManifest } from "../core/exported";
import type { Verified } from "../core/exporting";
import { hex, same } from "../core/ids";
import * as importing from "../core/importing";
import type { Device } from "../core/library";
import { splitPart } from "../core/schema";
import { termsOf } from "../core/session/doors";
import { dayOf } from "./plain";
import type { Again, Brought, Checked } from "./ways";

export function checkedOf({ charter, person, at, files, parts, unchecked }: Verified): Checked {
  const nameOf = (who: string): string => charter.people.get(who)?.name ?? "";
  return {
    whole: true,
    title: charter.title,
    by: nameOf(hex(person)),
    at: dayOf(at),
    people: charter.present().map(({ name }) => name),
    parts: [...parts].map(([part, { changes, passed }]) => ({
      part,
      about: nameOf(part.split("@", 2)[1] ?? ""),
      changes: [...changes].map(([name, n]) => ({ name, n })),
      passed: [...passed],
    })),
    files: [...files.keys()].filter((name) => name.startsWith(FILES)).length,
    page: unchecked.length === 0,
  };
}

/** In which way it is not what was made. Throws what is another error. */
export function faultOf(error: unknown): Checked {
  if (!(error instanceof BadExport)) throw error;
  return { whole: false, fault: error.fault, part: error.part };
}

/** Nothing is done, and nothing is asked of any relay. */
export async function againOf(
  device: Device,
  found: Verified,
  files: ReadonlyMap<string, Uint8Array>,
  relay: string,
): Promise<Again> {
  const { charter, person, content } = found;
  const me = charter.people.get(hex(person)) as Person;
  const known = device.store.case(charter.case);
  const open = device.rows().find((row) => same(row.case, charter.case) && row.state === "open");
  const old = open && (await device.case(hex(open.case)));
  const logged = [...(content.get("access")?.get("grants")?.values() ?? [])];
  const readers: Again["readers"] = [];
  for (const grant of charter.grants.values()) {
    if (grant.endedN !== null) continue;
    const who = logged.find((fields) => fields.get("grant") === hex(grant.grant))?.get("who");
    const terms = old && (await termsOf(old.session, grant));
    readers.push({ to: String(who ?? terms?.to ?? ""), again: terms !== undefined });
  }
  const before = await importing.before(device, files, relay);
  const own = new Set<string>();
  for (const [part, collections] of content) {
    const { about } = splitPart(part);
    if (!about || same(about, person) || ![...collections.values()].some(({ size }) => size > 0)) continue;
    own.add(charter.people.get(hex(about))?.name ?? "");
  }
  return {
    me: me.name,
    refused: refusedBy(() => importing.check(device, found)),
    people: charter
      .present()
      .filter((one) => !same(one.person, person))
      .map(({ name, role }) => ({ name, role })),
    own: [...own].sort(),
    readers,
    old: known ? (known.state === "entering" ? "waiting" : known.state) : null,
    later: old !== undefined && hasLater(old.session, files, charter.parts),
    before: before ? { case: hex(before.one.id), done: before.isDone } : null,
  };
}

function refusedBy(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    return error.code;
  }
}

/** Whether a log is longer here than in the copy. */
function hasLater(
  session: Parameters<typeof termsOf>[0],
  files: ReadonlyMap<string, Uint8Array>,
  parts: Verified["charter"]["parts"],
): boolean {
  const { streams } = openManifest(files.get(MANIFEST) ?? new Uint8Array());
  return streams.some(([name, length]) => {
    const stream = name ? parts.get(name)?.stream : session.charterStream;
    return stream !== undefined && session.position(stream).length > length;
  });
}

export function broughtOf({ one, invited, given, left }: importing.Brought): Brought {
  return {
    case: hex(one.id),
    invited: invited.map(({ name, role, link }) => ({
      name,
      role: role as Brought["invited"][0]["role"],
      link,
    })),
    given: given.map(({ to, link }) => ({ to, link })),
    left: left.map(({ to, code }) => ({ to, code })),
  };
}
