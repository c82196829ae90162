/** Photos and files as a person handles them: attach and fetch. Mirrors core/eigenkring/filing.py. Spec: docs/spec/attachments.md. */
import { CryptoError } from "../crypto/errors";
import { sha256 } from "../crypto/kdf";
import {
  type Attachment,
  MAX_ATTACHMENT_BYTES,
  MAX_PREVIEW_BYTES,
  packAttachment,
  parseAttachment,
  VERSION,
} from "./attachment";
import { fetchAttachment } from "./carrying";
import type { Case } from "./case";
import { EigenkringError, Inadmissible, Misuse } from "./errors";
import { hex } from "./ids";
import { stripPicture } from "./picture";
import { attach, attachmentAt, heldStreams } from "./session/attachments";
import type { CaseSession } from "./session/parts";
import type { Transport } from "./transport";

const ENDINGS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" };

/** What is put at an item. `asIs`: no picture, taken with whatever is written in it. */
export interface NewFile {
  readonly name: string;
  readonly data: Uint8Array;
  readonly preview?: Uint8Array;
  readonly asIs?: boolean;
}

export interface Fetched {
  readonly name: string;
  readonly type: string;
  readonly data: Uint8Array;
}

/** Throws Misuse: `bad_attachment`, `bad_path`, `no_such_item`, `not_permitted`. Call it `inTurn`. */
export async function attachFile(
  session: CaseSession,
  part: string,
  path: string,
  { name, data, preview = new Uint8Array(), asIs = false }: NewFile,
): Promise<void> {
  const place = placeOf(session, part, path);
  if (!session.known().mayWrite(session.me(), part)) {
    throw new Misuse("not_permitted", `the part ${part} is not yours to write`);
  }
  if (!session.read(session.part(part)).get(place[0])?.has(place[1])) {
    throw new Misuse("no_such_item", "there is no such item");
  }
  const clean = cleaned(name, data, asIs);
  const small = smallOf(preview);
  const make: Parameters<typeof attach>[3] = (stream, key) => {
    const made: Attachment = {
      v: VERSION,
      stream,
      key,
      name: clean.name,
      type: clean.type,
      size: clean.data.length,
      hash: sha256(clean.data),
      preview: small,
    };
    try {
      packAttachment(made);
    } catch (error) {
      if (error instanceof Inadmissible) throw new Misuse("bad_attachment", error.message);
      throw error;
    }
    return made;
  };
  await attach(session, part, place, make, clean.data);
}

/** A picture gets a name that tells nothing: cameras put the day and the hour in theirs. */
function cleaned(name: string, data: Uint8Array, asIs: boolean): Fetched {
  if (data.length > MAX_ATTACHMENT_BYTES || data.length === 0) {
    throw new Misuse("bad_attachment", "a file of at most 32 MiB, and not an empty one");
  }
  const picture = stripPicture(data);
  if (picture) return { ...picture, name: `foto.${ENDINGS[picture.type]}` };
  if (!asIs) throw new Misuse("bad_attachment", "this is no picture: what else is written in it stays in it");
  const isPdf = new TextDecoder("latin1").decode(data.subarray(0, 5)) === "%PDF-";
  return { name, type: isPdf ? "application/pdf" : "application/octet-stream", data };
}

function smallOf(preview: Uint8Array): Uint8Array {
  if (preview.length === 0) return preview;
  const picture = stripPicture(preview);
  if (!picture || picture.data.length > MAX_PREVIEW_BYTES) {
    throw new Misuse("bad_attachment", "a preview is a small picture");
  }
  return picture.data;
}

/** The bytes of a photo or file: those this device has, or from the relay. Throws as `fetchAttachment`. */
export async function fetchFile(
  session: CaseSession,
  transport: Transport,
  part: string,
  path: string,
): Promise<Fetched> {
  const attachment = attachmentAt(session, part, placeOf(session, part, path));
  const data = await fetchAttachment(session, transport, part, attachment);
  return { name: attachment.name, type: attachment.type, data };
}

/** Into another case, with a stream and a key of its own; what cannot be had now is left out, and told there. */
export async function copyFile(
  old: Case,
  value: string,
  fresh: Case,
  part: string,
  path: readonly [string, string, string],
): Promise<void> {
  let attachment: Attachment;
  let data: Uint8Array;
  try {
    attachment = parseAttachment(value);
    data = await fetchAttachment(old.session, old.transport, partOf(old.session, attachment), attachment);
  } catch (error) {
    if (!(error instanceof EigenkringError || error instanceof CryptoError)) throw error;
    fresh.session.alarm(error.code, `attachment in ${part}`);
    return;
  }
  await fresh.session.inTurn(() =>
    attach(fresh.session, part, path, (stream, key) => ({ ...attachment, stream, key }), data),
  );
}

function partOf(session: CaseSession, { stream }: Attachment): string {
  for (const opened of session.parts.values()) {
    if (heldStreams(session, opened).has(hex(stream))) return opened.part.name;
  }
  throw new Misuse("no_such_part", "no part here has it");
}

/** Collection, item and field; the field may be left out where the collection has one for files. */
function placeOf(session: CaseSession, part: string, path: string): [string, string, string] {
  const kind = part.split("@", 1)[0] as string;
  const { schema } = session.around;
  const [collection, item, field = collection && schema.attachmentField(kind, collection), ...more] = path
    .replace(/^\/+|\/+$/g, "")
    .split("/");
  if (!collection || !item || !field || more.length > 0) {
    throw new Misuse("bad_path", "a path is collection/item, and a field where there is more than one");
  }
  if (schema.field(kind, collection, field)?.type !== "attachment") {
    throw new Misuse("bad_path", `${field} takes no photo or file`);
  }
  return [collection, item, field];
}
