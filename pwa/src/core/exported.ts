/**
 * What an export is made of, the signed list of files and the logs: mirrors the formats of core/eigenkring/exported.py.
 * Spec: docs/spec/export.md.
 */
import { extend, first } from "../crypto/chain";
import { CryptoError } from "../crypto/errors";
import { verify } from "../crypto/sign";
import { Inadmissible } from "./errors";
import { same } from "./ids";
import { BadPacked } from "./packed";
import { bytes, list, nullable, pack, type Shape, struct, text, tuple, uint, unpack } from "./shape";

const VERSION = 1;
const number = uint(Number.MAX_SAFE_INTEGER);
const signedShape = struct({ body: bytes(), sig: bytes(64) });
const manifestShape = struct({
  v: number,
  case: bytes(16),
  by: bytes(16),
  at: number,
  n: number,
  head: bytes(32),
  files: list(tuple(text, bytes(32))),
  streams: list(tuple(text, number, bytes(32))),
});
const logShape = struct({
  stream: bytes(16),
  base: number,
  base_chain: bytes(32),
  records: list(tuple(bytes(), nullable(bytes()))),
  secrets: list(tuple(number, bytes(32))),
});
type Read<S> = S extends Shape<infer T> ? T : never;
export type Manifest = Read<typeof manifestShape>;
export type Log = Read<typeof logShape>;

/** The list of files, its signature not checked: that takes the charter. Throws Inadmissible `bad_export`. */
export function openManifest(data: Uint8Array): Manifest {
  const manifest = exactly(manifestShape, exactly(signedShape, data).body);
  if (manifest.v !== VERSION) throw refused("made by a newer program; please update");
  return manifest;
}

/** Resolves when this key signed the list of files. Throws Inadmissible `bad_export`. */
export async function checkList(data: Uint8Array, manifest: Manifest, key: Uint8Array): Promise<void> {
  const { body, sig } = exactly(signedShape, data);
  try {
    await verify(key, "export", manifest.case, body, sig);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw refused("the list of files is not signed by the device it names");
  }
}

/** The log of one stream. Throws Inadmissible `bad_export`. */
export const openLog = (data: Uint8Array): Log => exactly(logShape, data);

/** Where a log leads to: length and chain. A log from the beginning takes no word for its first chain. */
export function endOf({ stream, base, base_chain, records }: Log): readonly [number, Uint8Array] {
  let chain: Uint8Array = base === 0 ? first(stream) : base_chain;
  for (const [record] of records) chain = extend(chain, record);
  return [base + records.length, chain];
}

/** What only one sequence of bytes can say, so that no byte is free to be altered. */
function exactly<T>(shape: Shape<T>, data: Uint8Array): T {
  let found: T;
  try {
    found = unpack(shape, data);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw refused("a file is not what it should be");
  }
  if (!same(pack(shape, found), data)) throw refused("a file is written in another way than it should be");
  return found;
}

function refused(why: string): Inadmissible {
  return new Inadmissible("bad_export", why);
}
