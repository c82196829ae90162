/** A folder as one file: a zip without compression, because what is sealed does not shrink. Names are UTF-8. */
import { concat } from "../crypto/kdf";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest >>> 0;
});

export function checksum(data: Uint8Array): number {
  let rest = 0xffff_ffff;
  for (const byte of data) rest = (TABLE[(rest ^ byte) & 255] as number) ^ (rest >>> 8);
  return (rest ^ 0xffff_ffff) >>> 0;
}

/** Numbers of two (`s`) and four (`l`) bytes, the lowest first. */
function packed(shape: string, ...values: readonly number[]): Uint8Array {
  const data: number[] = [];
  for (const [at, kind] of [...shape].entries()) {
    const value = values[at] as number;
    data.push(value & 255, (value >>> 8) & 255);
    if (kind === "l") data.push((value >>> 16) & 255, value >>> 24);
  }
  return new Uint8Array(data);
}

const UTF8_NAMES = 0x0800;
/** 1 January 1980: when the files were made is inside them. */
const NO_DATE = 0x0021;

export function zip(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const bodies: Uint8Array[] = [];
  const listed: Uint8Array[] = [];
  let at = 0;
  for (const [path, data] of files) {
    const name = new TextEncoder().encode(path);
    const about = packed(
      "ssssslllss",
      20,
      UTF8_NAMES,
      0,
      0,
      NO_DATE,
      checksum(data),
      data.length,
      data.length,
      name.length,
      0,
    );
    const body = concat(packed("l", 0x04034b50), about, name, data);
    bodies.push(body);
    const place = packed("sssll", 0, 0, 0, 0, at);
    listed.push(concat(packed("ls", 0x02014b50, 20), about, place, name));
    at += body.length;
  }
  const list = concat(...listed);
  const end = packed("lssssllss", 0x06054b50, 0, 0, files.size, files.size, list.length, at, 0, 0);
  return concat(...bodies, list, end.slice(0, 22));
}
