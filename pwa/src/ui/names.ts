/** Faces from names: initials, and a colour that is the same on every phone. */

const HUES = 10;
const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const firstSign = (word: string): string =>
  segments.segment(word)[Symbol.iterator]().next().value?.segment ?? "";

/** One or two signs; an emoji counts as one. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = firstSign(words[0] ?? "");
  const last = words.length > 1 ? firstSign(words.at(-1) ?? "") : "";
  return (first + last).toLocaleUpperCase() || "?";
}

/** FNV-1a over the name, so that a face keeps its colour. */
export function hue(name: string): number {
  let hash = 0x811c9dc5;
  for (const sign of name) {
    hash = Math.imul(hash ^ (sign.codePointAt(0) ?? 0), 0x01000193);
  }
  // The low bits alone would bring names of one length together.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) % HUES;
}

/** A picture takes the room of about three letters. */
const room = (sign: string): number => (/\p{Extended_Pictographic}/u.test(sign) ? 3 : 1);

/** For the middle of a sentence: a name of 200 signs must not push the sentence off the screen. */
export function shortName(name: string, most = 28): string {
  const signs = [...segments.segment(name.trim())].map((sign) => sign.segment);
  if (signs.reduce((sum, sign) => sum + room(sign), 0) <= most) return name.trim();
  let left = most - 1;
  const some = signs.slice(
    0,
    signs.findIndex((sign) => {
      left -= room(sign);
      return left < 0;
    }),
  );
  return `${some.join("").trimEnd()}…`;
}
