/** Words that people compare aloud, and the recovery code on paper (docs/spec/seal.md, Words and codes). */

// One list for both languages of the program: a copy could drift, and then two honest phones show different words.
import enText from "../../../crypto/eigenkring_crypto/words_en.txt?raw";
import nlText from "../../../crypto/eigenkring_crypto/words_nl.txt?raw";
import { BadCode, BadKey } from "./errors";
import type { Bytes } from "./kdf";

export type Language = "nl" | "en";

export const WORD_COUNT = 1024;
export const COMPARISON_WORDS = 4;
export const CODE_BYTES = 20;
export const CODE_SYMBOLS = 36;
const GROUP = 4;
// Crockford's base 32: no I, L, O (read as 1, 1, 0) and no U.
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
// The largest prime below 2^20. A remainder by a prime catches every single wrong symbol and every two neighbours
// swapped (their difference is d * 32^i or d * 31 * 32^i with d < 32), anything else but once in a million.
const CHECK_PRIME = 1_048_573n;
const CHECK_BITS = 20n;
// Spelled out rather than toUpperCase() and \s: Python and JavaScript know different alphabets.
const READ_AS = new Map<string, number>([
  ...[...ALPHABET].map((symbol, value): [string, number] => [symbol, value]),
  ...[...ALPHABET.toLowerCase()].map((symbol, value): [string, number] => [symbol, value]),
  ...[..."Oo"].map((symbol): [string, number] => [symbol, 0]),
  ...[..."IiLl"].map((symbol): [string, number] => [symbol, 1]),
]);
const SKIPPED = new Set(" \t\r\n\u00a0-\u2010\u2011\u2012\u2013\u2014._");

const WORDS: Readonly<Record<Language, readonly string[]>> = { nl: read(nlText), en: read(enText) };

/**
 * Four words for two people to compare, from the first 40 bits of a digest of at least 16 bytes (BadKey).
 * 40 bits are enough because whoever would forge must fix the digest before knowing the nonce in it.
 */
export function comparisonWords(digest: Uint8Array, language: Language): string[] {
  if (digest.length < 16) throw new BadKey("a digest to compare is too short");
  if (!Object.hasOwn(WORDS, language)) throw new RangeError("no words in this language");
  const bits = bigEndian(digest.subarray(0, 5));
  return [30n, 20n, 10n, 0n].map((shift) => WORDS[language][Number((bits >> shift) & 1023n)] as string);
}

/** The text of a 20-byte recovery code: nine groups of four with `-`, 32 symbols of data and 4 of checksum. */
export function encodeCode(code: Uint8Array): string {
  if (code.length !== CODE_BYTES) throw new BadKey("a recovery code is 20 bytes");
  const data = bigEndian(code);
  const number = (data << CHECK_BITS) | (data % CHECK_PRIME);
  let text = "";
  for (let i = CODE_SYMBOLS - 1; i >= 0; i--) {
    text += ALPHABET[Number((number >> BigInt(5 * i)) & 31n)];
    if (i % GROUP === 0 && i > 0) text += "-";
  }
  return text;
}

/** The 20 bytes of what someone typed. Case, spaces, dashes and O for 0, I or L for 1 are forgiven; else BadCode. */
export function decodeCode(text: string): Bytes {
  let number = 0n;
  let symbols = 0;
  for (const character of text) {
    if (SKIPPED.has(character)) continue;
    const value = READ_AS.get(character);
    // Counting before growing: a pasted book is refused at its 37th letter.
    if (value === undefined || symbols === CODE_SYMBOLS)
      throw new BadCode("a recovery code has other symbols");
    number = (number << 5n) | BigInt(value);
    symbols += 1;
  }
  if (symbols !== CODE_SYMBOLS) throw new BadCode("a recovery code has 36 symbols");
  const data = number >> CHECK_BITS;
  if ((number & ((1n << CHECK_BITS) - 1n)) !== data % CHECK_PRIME)
    throw new BadCode("a recovery code with a typing error");
  const code = new Uint8Array(CODE_BYTES);
  for (let i = 0; i < CODE_BYTES; i++) code[i] = Number((data >> BigInt(8 * (CODE_BYTES - 1 - i))) & 255n);
  return code;
}

function read(text: string): readonly string[] {
  const words = text.trim().split("\n");
  // A word too few would shift every index and make two versions of the app disagree.
  if (words.length !== WORD_COUNT) throw new Error("the word list is damaged");
  return words;
}

function bigEndian(bytes: Uint8Array): bigint {
  let n = 0n;
  for (const byte of bytes) n = (n << 8n) | BigInt(byte);
  return n;
}
