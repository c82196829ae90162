/**
 * Pictures without what the camera wrote beside them: place, time, owner, device, thumbnail. Mirrors core/eigenkring/picture.py.
 *
 * What is not known to be needed for the picture is left out, and what cannot be read to its end is refused: a list of
 * what to remove would miss what the next phone adds. Nothing is decoded. Spec: docs/spec/attachments.md.
 */
import { Misuse } from "./errors";
import { join, same } from "./ids";

export type PictureType = "image/jpeg" | "image/png" | "image/webp";
export interface Picture {
  readonly type: PictureType;
  readonly data: Uint8Array;
}

const PNG = ascii("\x89PNG\r\n\x1a\n");
const PNG_KEPT = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);
/** Pictures and films that can hold the place, and that are not read here. */
const MAY_TELL_A_PLACE = [
  "II*\0",
  "MM\0*",
  "II+\0",
  "MM\0+",
  "GIF8",
  "8BPS",
  "RIFF",
  "\x1aE\xdf\xa3",
  "\xff\n",
  "\0\0\0\x0cJXL ",
  "\0\0\0\x0cjP  ",
  "\xff\x4f\xff\x51",
  "IIRO",
  "FUJIFILMCCD",
  "FLV",
].map(ascii);
const FILM = new Set(["ftyp", "moov", "mdat", "wide", "free", "skip"]);

/**
 * The picture alone; undefined for what is no picture at all. Throws Misuse `bad_attachment` for pictures and films of a
 * kind that cannot be cleaned here (HEIC, TIFF, GIF, video), and for those that are not whole.
 */
export function stripPicture(data: Uint8Array): Picture | undefined {
  if (begins(data, ascii("\xff\xd8"))) return { type: "image/jpeg", data: jpeg(data) };
  if (begins(data, PNG)) return { type: "image/png", data: png(data) };
  if (word(data, 0) === "RIFF" && word(data, 8) === "WEBP") return { type: "image/webp", data: webp(data) };
  if (MAY_TELL_A_PLACE.some((signs) => begins(data, signs)) || FILM.has(word(data, 4))) {
    throw new Misuse(
      "bad_attachment",
      "this kind of picture or film can hold the place where it was made; save it as JPEG first",
    );
  }
  return undefined;
}

function ascii(signs: string): Uint8Array {
  return Uint8Array.from(signs, (sign) => sign.charCodeAt(0));
}

function begins(data: Uint8Array, signs: Uint8Array): boolean {
  return data.length >= signs.length && same(data.subarray(0, signs.length), signs);
}

function word(data: Uint8Array, at: number): string {
  return String.fromCharCode(...data.subarray(at, at + 4));
}

function big(data: Uint8Array, at: number, size: number): number {
  let number = 0;
  for (const byte of data.subarray(at, at + size)) number = number * 256 + byte;
  return number;
}

function little(data: Uint8Array, at: number, size: number): number {
  return big(data.slice(at, at + size).reverse(), 0, size);
}

function broken(): Misuse {
  return new Misuse("bad_attachment", "the picture is not whole, or of a kind that is not known here");
}

// --- JPEG

/** Baseline, extended, progressive. */
const FRAMES = new Set([0xc0, 0xc1, 0xc2]);

function jpeg(data: Uint8Array): Uint8Array {
  const head: Uint8Array[] = [Uint8Array.of(0xff, 0xd8)];
  const body: Uint8Array[] = [];
  let orientation = 1;
  let frames = 0;
  let scans = 0;
  let at = 2;
  for (;;) {
    const [marker, start] = markerAt(data, at);
    if (marker === 0xd9) break; // what follows is another picture, a film, or what was cut off
    const size = start + 2 <= data.length ? big(data, start, 2) : 0;
    if (size < 2 || start + size > data.length) throw broken();
    const content = data.subarray(start + 2, start + size);
    at = start + size;
    if ((marker >= 0xe0 && marker <= 0xef) || marker === 0xfe) {
      if (marker === 0xe0 && begins(content, ascii("JFIF\0")) && content.length >= 14 && head.length === 1) {
        head.push(segment(0xe0, join(content.subarray(0, 12), Uint8Array.of(0, 0)))); // without its thumbnail
      } else if (marker === 0xee && begins(content, ascii("Adobe")) && content.length >= 12) {
        body.push(segment(0xee, content.subarray(0, 12))); // says which colours; without it they come out wrong
      } else if (marker === 0xe1 && begins(content, ascii("Exif\0\0"))) {
        orientation = orientationOf(content.subarray(6));
      }
      continue;
    }
    if (!isExact(marker, content)) throw broken();
    if (FRAMES.has(marker)) frames += 1;
    body.push(segment(marker, content));
    if (marker === 0xda) {
      const end = endOfScan(data, at);
      body.push(data.subarray(at, end));
      scans += 1;
      at = end;
    }
  }
  if (frames !== 1 || scans === 0) throw broken();
  if (orientation !== 1) {
    // The one thing of it that the picture needs, written anew: else it would lie on its side.
    const tiff = ascii("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    head.push(segment(0xe1, join(ascii("Exif\0\0"), tiff, Uint8Array.of(orientation), new Uint8Array(6))));
  }
  return join(...head, ...body, Uint8Array.of(0xff, 0xd9));
}

function markerAt(data: Uint8Array, from: number): [marker: number, after: number] {
  if (data[from] !== 0xff) throw broken();
  let at = from;
  while (data[at] === 0xff) at += 1;
  const marker = data[at];
  if (marker === undefined) throw broken();
  return [marker, at + 1];
}

function segment(marker: number, content: Uint8Array): Uint8Array {
  const size = content.length + 2;
  return join(Uint8Array.of(0xff, marker, size >> 8, size & 0xff), content);
}

/** Whether a segment is one the picture needs, and holds not a byte more than it says. */
function isExact(marker: number, content: Uint8Array): boolean {
  const length = content.length;
  const byte = (at: number): number => content[at] ?? 0;
  if (FRAMES.has(marker)) return length >= 9 && length === 6 + 3 * byte(5) && big(content, 1, 2) !== 0;
  if (marker === 0xda) return length >= 6 && length === 4 + 2 * byte(0);
  if (marker === 0xdd) return length === 2;
  if (marker !== 0xdb && marker !== 0xc4) return false;
  let at = 0;
  while (at < length) {
    if (marker === 0xdb) at += 1 + (byte(at) >> 4 ? 128 : 64);
    else at += 17 + content.subarray(at + 1, at + 17).reduce((sum, count) => sum + count, 0);
  }
  return at === length && length > 0;
}

function endOfScan(data: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    at = data.indexOf(0xff, at);
    const next = at < 0 ? undefined : data[at + 1];
    if (next === undefined) throw broken();
    if (next !== 0 && (next < 0xd0 || next > 0xd7)) return at;
    at += 2;
  }
}

/** 1 to 8; 1, upright, where it is not said or cannot be read. */
function orientationOf(tiff: Uint8Array): number {
  const order = word(tiff, 0);
  if (order !== "II*\0" && order !== "MM\0*") return 1;
  const number = order === "II*\0" ? little : big;
  const start = number(tiff, 4, 4);
  const count = Math.min(number(tiff, start, 2), 200);
  for (let entry = 0; entry < count; entry++) {
    const at = start + 2 + 12 * entry;
    if (number(tiff, at, 2) === 0x0112 && number(tiff, at + 2, 2) === 3) {
      const found = number(tiff, at + 8, 2);
      return found >= 1 && found <= 8 ? found : 1;
    }
  }
  return 1;
}

// --- PNG

function png(data: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [PNG];
  let pixels = false;
  let at = PNG.length;
  for (;;) {
    const size = at + 4 <= data.length ? big(data, at, 4) : Number.POSITIVE_INFINITY;
    const end = at + 12 + size;
    if (end > data.length) throw broken();
    const body = data.subarray(at + 4, at + 8 + size);
    if (crc32(body) !== big(data, end - 4, 4)) throw broken();
    const kind = word(body, 0);
    const isFirst = kept.length === 1;
    if ((kind === "IHDR") !== isFirst || (isFirst && size !== 13)) throw broken();
    if (PNG_KEPT.has(kind)) kept.push(data.subarray(at, end));
    // A chunk without which it is no picture, and that is not known here.
    else if (((body[0] ?? 0) & 0x20) === 0) throw broken();
    pixels ||= kind === "IDAT";
    at = end;
    if (kind !== "IEND") continue;
    if (size !== 0 || !pixels) throw broken();
    return join(...kept); // what follows is no part of the picture
  }
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc32(data: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of data) rest = (CRC[(rest ^ byte) & 0xff] as number) ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}

// --- WebP

function webp(data: Uint8Array): Uint8Array {
  const end = 8 + little(data, 4, 4);
  if (end > data.length) throw broken();
  const kept: Uint8Array[] = [];
  let pictures = 0;
  let at = 12;
  while (at < end) {
    const kind = word(data, at);
    const size = little(data, at + 4, 4);
    let content = data.subarray(at + 8, at + 8 + size);
    at += 8 + size + (size % 2);
    if (at > end) throw broken();
    if (kind === "ANIM" || kind === "ANMF") {
      throw new Misuse("bad_attachment", "a moving picture cannot be cleaned here; save one picture of it");
    }
    if (kind === "VP8X") {
      if (content.length !== 10 || kept.length > 0) throw broken();
      // Only: it has see-through places.
      content = join(Uint8Array.of((content[0] as number) & 0x10, 0, 0, 0), content.subarray(4));
    }
    if (kind === "VP8 " || kind === "VP8L") pictures += 1;
    if (kind === "VP8 " || kind === "VP8L" || kind === "VP8X" || kind === "ALPH") {
      kept.push(ascii(kind), littleBytes(content.length), content, new Uint8Array(size % 2));
    }
  }
  if (pictures !== 1) throw broken();
  const body = join(ascii("WEBP"), ...kept);
  return join(ascii("RIFF"), littleBytes(body.length), body);
}

function littleBytes(number: number): Uint8Array {
  return Uint8Array.of(number & 0xff, (number >> 8) & 0xff, (number >> 16) & 0xff, number >>> 24);
}
