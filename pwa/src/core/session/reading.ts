/**
 * Opening the records of the charter, before anything of it is believed. Spec: docs/spec/charter.md, The charter.
 *
 * Whoever belongs can append noise and hand out false secrets. Neither may stop a newcomer, nor make this device pass over
 * an entry that others admit: so a record counts as noise only where the right key is known to be at hand.
 */
import { readSecret } from "../../crypto/capability";
import { CryptoError } from "../../crypto/errors";
import { recordEpoch } from "../../crypto/seal";
import { parseEntry } from "../charter/entry";
import { Inadmissible } from "../errors";
import type { CaseId, RoomSecret } from "../ids";
import { EVERYONE, openLink } from "../rooms";
import type { StoredSecret } from "../store";
import { openRecord, type PlacedRecord } from "../stream";

/** What is told of the room *everyone*: `confirmed` by the charter already, or only by somebody's keybag. */
export interface Told extends StoredSecret {
  readonly confirmed: boolean;
}

const NOISE = new Uint8Array();

/**
 * The payloads by index; empty for noise, which the fold refuses by name; absent where the key has not come yet. `newest`
 * is the epoch of the key with which the relay let us read.
 */
export async function openCharter(
  caseId: CaseId,
  records: readonly PlacedRecord[],
  told: Iterable<Told>,
  newest: number,
): Promise<Map<number, Uint8Array>> {
  const opened = new Map<number, Uint8Array>();
  const byEpoch = new Map<number, PlacedRecord[]>();
  for (const placed of records) {
    const epoch = claimedEpoch(placed.record);
    // The relay gave it to a key of epoch `newest`, so it is of no later one, whatever it says of itself.
    if (epoch === undefined || epoch === 0 || epoch > newest) opened.set(placed.index, NOISE);
    else byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), placed]);
  }
  const secrets = new Map<number, RoomSecret[]>();
  const confirmed = new Set<number>();
  const add = (epoch: number, secret: RoomSecret): void => {
    secrets.set(epoch, [...(secrets.get(epoch) ?? []), secret]);
  };
  for (const { room, epoch, secret, confirmed: sure } of told) {
    if (room !== EVERYONE) continue;
    add(epoch, secret);
    if (sure) confirmed.add(epoch);
  }
  const epochs = [...byEpoch.keys()].sort((a, b) => b - a);
  for (const [at, epoch] of epochs.entries()) {
    const placed = byEpoch.get(epoch) ?? [];
    const right = await openEpoch(caseId, epoch, placed, secrets.get(epoch) ?? [], opened);
    // The turning entry does not say which epoch was before; after a restored relay some were passed over.
    if (right?.earlier) for (const below of epochs.slice(at + 1)) add(below, right.earlier);
    if (!right && !confirmed.has(epoch)) continue;
    for (const { index } of placed) if (!opened.has(index)) opened.set(index, NOISE);
  }
  return opened;
}

/** Opens what one of these secrets opens; undefined where none opens anything: perhaps none is the right one. */
async function openEpoch(
  caseId: CaseId,
  epoch: number,
  placed: readonly PlacedRecord[],
  secrets: readonly RoomSecret[],
  opened: Map<number, Uint8Array>,
): Promise<{ earlier: RoomSecret | undefined } | undefined> {
  for (const secret of secrets) {
    const read = { secret: readSecret(secret, caseId), epoch };
    let found = false;
    let earlier: RoomSecret | undefined;
    for (const { index, record } of placed) {
      try {
        const payload = await openRecord({ stream: caseId, read }, record);
        opened.set(index, payload);
        found = true;
        earlier ??= earlierSecret(payload, caseId, epoch, secret);
      } catch (error) {
        if (!(error instanceof CryptoError)) throw error;
      }
    }
    if (found) return { earlier };
  }
  return undefined;
}

/** The secret of *everyone* in the epoch before, from the entry that turned it; undefined where this is another entry. */
function earlierSecret(
  payload: Uint8Array,
  caseId: CaseId,
  epoch: number,
  secret: RoomSecret,
): RoomSecret | undefined {
  try {
    const { body } = parseEntry(payload);
    const rooms = body && "rooms" in body ? body.rooms : [];
    const turned = rooms.find((room) => room.room === EVERYONE && room.epoch === epoch);
    return turned?.link.length ? openLink(caseId, EVERYONE, epoch, secret, turned.link) : undefined;
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    return undefined;
  }
}

/** What the header says; undefined where it is no record of ours at all. */
function claimedEpoch(record: Uint8Array): number | undefined {
  try {
    return recordEpoch(record);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return undefined;
  }
}
