/**
 * What was read again, out of the pieces of before where they are the same: only what is different is drawn again. A letter
 * of another one would otherwise draw a whole plan, and the own next letter wait for it.
 */
export function sharing<T>(before: T | undefined, now: T): T {
  if (Object.is(before, now) || !isPlain(before) || !isPlain(now)) return now;
  if (Array.isArray(before) !== Array.isArray(now)) return now;
  const old = new Map(Object.entries(before));
  const made = Object.entries(now).map(([name, value]) => [name, sharing(old.get(name), value)] as const);
  // The order is what is shown too.
  const names = [...old.keys()];
  const isSame =
    names.length === made.length &&
    made.every(([name, value], at) => name === names[at] && Object.is(value, old.get(name)));
  if (isSame) return before;
  return (Array.isArray(now) ? made.map(([, value]) => value) : Object.fromEntries(made)) as T;
}

/** Lists and objects as they come out of a message; bytes, dates and the like are let be. */
function isPlain(value: unknown): value is object {
  if (value === null || typeof value !== "object") return false;
  const of = Object.getPrototypeOf(value);
  return of === Object.prototype || of === Array.prototype || of === null;
}
