/** Order and difference of texts, counted in Unicode scalars as Python counts. */

export function scalarsOf(text: string): string[] {
  return Array.from(text);
}

/**
 * Position, number of scalars to remove, text to insert: what differs between common beginning and end. Anything larger
 * would delete and type again words that somebody else is changing meanwhile.
 */
export function smallestSplice(
  before: string,
  after: string,
): readonly [position: number, count: number, text: string] {
  const old = scalarsOf(before);
  const wanted = scalarsOf(after);
  const most = Math.min(old.length, wanted.length);
  let start = 0;
  while (start < most && old[start] === wanted[start]) start++;
  let end = 0;
  while (end < most - start && old[old.length - 1 - end] === wanted[wanted.length - 1 - end]) end++;
  return [start, old.length - start - end, wanted.slice(start, wanted.length - end).join("")];
}

/** As Python sorts; JavaScript's own order is that of UTF-16, and would put an emoji before U+FFFD. */
export function byCodePoint(texts: Iterable<string>): string[] {
  const all = [...texts];
  // Below the surrogates both orders are one, and this is asked for each item.
  if (!all.some((text) => /[\ud800-\uffff]/.test(text))) return all.sort();
  const keyed = all.map((text) => ({
    text,
    points: Array.from(text, (one) => one.codePointAt(0) ?? 0),
  }));
  keyed.sort((a, b) => {
    const most = Math.min(a.points.length, b.points.length);
    for (let at = 0; at < most; at++) {
      const difference = (a.points[at] as number) - (b.points[at] as number);
      if (difference !== 0) return difference;
    }
    return a.points.length - b.points.length;
  });
  return keyed.map(({ text }) => text);
}
