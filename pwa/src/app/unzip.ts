/**
 * The files of a zip, by their place in it: what `zip` made, or what a computer made of the folder again. Of everything a zip
 * can say only what that takes; the rest is refused, so that a file from anywhere cannot fill a phone.
 */
import { BadExport } from "../core/exported";
import { MOST_COPY_BYTES } from "./ways";
import { checksum } from "./zip";

const MOST_FILES = 10_000;
const END = 0x06054b50;
const LISTED = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LISTED_BYTES = 46;
const LOCAL_BYTES = 30;
const MOST_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** What some computers put beside the files of a folder when they pack it. */
const BESIDE = /(^|\/)(__MACOSX\/|\.DS_Store$)/;

/** Throws BadExport: `none` for what is no zip, `archive` for a damaged one; `large`. */
export async function unzip(data: Uint8Array): Promise<Map<string, Uint8Array>> {
  if (data.length > MOST_COPY_BYTES) throw new BadExport("large");
  try {
    return withoutFolder(await filesOf(data));
  } catch (error) {
    if (error instanceof BadExport) throw error;
    // Reading beyond the end, names that are no text, and what the browser says of a damaged stream.
    throw new BadExport("archive");
  }
}

async function filesOf(data: Uint8Array): Promise<Map<string, Uint8Array>> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = endOf(view);
  const count = view.getUint16(end + 10, true);
  if (count > MOST_FILES) throw new BadExport("large");
  const found = new Map<string, Uint8Array>();
  let at = view.getUint32(end + 16, true);
  let left = MOST_COPY_BYTES;
  let unread = data.length;
  for (let n = 0; n < count; n++) {
    if (view.getUint32(at, true) !== LISTED) throw new BadExport("archive");
    const entry = {
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      name: new TextDecoder("utf-8", { fatal: true }).decode(
        part(data, at + LISTED_BYTES, view.getUint16(at + 28, true)),
      ),
      local: view.getUint32(at + 42, true),
    };
    const { name, size, crc } = entry;
    at += LISTED_BYTES + [28, 30, 32].reduce((sum, place) => sum + lengthAt(view, at + place), 0);
    if (name.endsWith("/") || BESIDE.test(name)) continue;
    left -= size;
    unread -= entry.packed;
    if (left < 0) throw new BadExport("large");
    // Ten thousand names of one and the same body would be ten thousand times the work.
    if (unread < 0) throw new BadExport("archive");
    if (found.has(name) || !isPlain(name) || entry.flags & ENCRYPTED) throw new BadExport("archive");
    const body = await unpacked(data, view, entry);
    if (body.length !== size || checksum(body) !== crc) throw new BadExport("archive");
    found.set(name, body);
  }
  return found;
}

const lengthAt = (view: DataView, at: number): number => view.getUint16(at, true);

/** The end stands last, before a comment that nobody writes. */
function endOf(view: DataView): number {
  const first = Math.max(0, view.byteLength - END_BYTES - MOST_COMMENT);
  for (let at = view.byteLength - END_BYTES; at >= first; at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  // A letter, or a picture: nobody is told that it was not copied to the end.
  const isZip = view.byteLength >= 4 && view.getUint32(0, true) === LOCAL;
  throw new BadExport(isZip ? "archive" : "none");
}

interface Entry {
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
}

async function unpacked(
  data: Uint8Array,
  view: DataView,
  { method, packed, size, local }: Entry,
): Promise<Uint8Array> {
  if (view.getUint32(local, true) !== LOCAL) throw new BadExport("archive");
  const begins = local + LOCAL_BYTES + lengthAt(view, local + 26) + lengthAt(view, local + 28);
  const body = part(data, begins, packed);
  if (method === STORED) return body;
  if (method !== DEFLATED) throw new BadExport("archive");
  return inflated(body, size);
}

/** Ends as soon as more comes than was said: a small file can hold a very large one. */
async function inflated(body: Uint8Array, size: number): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(body)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  const found = new Uint8Array(size);
  let length = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return found.subarray(0, length);
    if (length + value.length > size) {
      await reader.cancel();
      throw new BadExport("archive");
    }
    found.set(value, length);
    length += value.length;
  }
}

function part(data: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > data.length) throw new BadExport("archive");
  return data.subarray(at, at + length);
}

/** Nothing that leads out of the folder. */
function isPlain(name: string): boolean {
  return (
    name.split("/").every((step) => step !== "" && step !== "." && step !== "..") && !name.includes("\\")
  );
}

/** Whoever packs the folder again often packs the folder itself. */
function withoutFolder(files: Map<string, Uint8Array>): Map<string, Uint8Array> {
  const [folder, ...others] = new Set([...files.keys()].map((name) => name.split("/")[0] as string));
  const isOne = folder !== undefined && others.length === 0 && !files.has(folder);
  if (!isOne) return files;
  return new Map([...files].map(([name, data]) => [name.slice(folder.length + 1), data]));
}
