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
import { type CaseId, type RoomSecret, same } from "../ids";
import { EVERYONE, openLink } from "../rooms";
import { openRecord, type PlacedRecord } from "../stream";

/** Secrets of *everyone* by epoch: the one that the charter confirmed, or all that keybags told of. */
export type SecretsByEpoch = ReadonlyMap<number, readonly RoomSecret[]>;

const NOISE = new Uint8Array();

/**
 * The payloads by index, walking the room links back from the newest secret. Empty for noise, which the fold refuses by
 * name; absent for what may open once more keys come. `isKnown`: whether the charter commits to a secret we hold for it.
 */
export async function openCharter(
  caseId: CaseId,
  records: readonly PlacedRecord[],
  told: SecretsByEpoch,
  isKnown: (epoch: number) => boolean,
): Promise<Map<number, Uint8Array>> {
  const opened = new Map<number, Uint8Array>();
  const byEpoch = new Map<number, PlacedRecord[]>();
  for (const placed of records) {
    const epoch = claimedEpoch(placed.record);
    if (epoch === undefined) opened.set(placed.index, NOISE);
    else byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), placed]);
  }
  const secrets = new Map([...told].map(([epoch, given]) => [epoch, [...given]]));
  const epochs = [...byEpoch.keys()].sort((a, b) => b - a);
  for (const [at, epoch] of epochs.entries()) {
    const placed = byEpoch.get(epoch) ?? [];
    // A secret that opens one record of its epoch, or that the charter commits to, is the right one.
    let isRight = isKnown(epoch);
    for (const secret of secrets.get(epoch) ?? []) {
      const found = await openEpoch(caseId, epoch, placed, secret, opened);
      isRight ||= found.opens;
      // The turning entry does not say which epoch was before; after a restored relay some were passed over.
      if (found.earlier) for (const below of epochs.slice(at + 1)) add(secrets, below, found.earlier);
    }
    if (!isRight) continue;
    for (const { index } of placed) if (!opened.has(index)) opened.set(index, NOISE);
  }
  return opened;
}

function add(secrets: Map<number, RoomSecret[]>, epoch: number, secret: RoomSecret): void {
  const given = secrets.get(epoch) ?? [];
  if (!given.some((known) => same(known, secret))) secrets.set(epoch, [...given, secret]);
}

async function openEpoch(
  caseId: CaseId,
  epoch: number,
  placed: readonly PlacedRecord[],
  secret: RoomSecret,
  opened: Map<number, Uint8Array>,
): Promise<{ readonly opens: boolean; readonly earlier: RoomSecret | undefined }> {
  const read = { secret: readSecret(secret, caseId), epoch };
  let opens = false;
  let earlier: RoomSecret | undefined;
  for (const { index, record } of placed) {
    try {
      const payload = await openRecord({ stream: caseId, read }, record);
      opened.set(index, payload);
      opens = true;
      earlier ??= earlierSecret(payload, caseId, epoch, secret);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
    }
  }
  return { opens, earlier };
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
export function claimedEpoch(record: Uint8Array): number | undefined {
  try {
    return recordEpoch(record);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return undefined;
  }
}
