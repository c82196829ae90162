/**
 * Shapes of structures with names: one description reads a decoded map and writes it with its keys in order.
 *
 * Reading is as strict as msgspec: a wrong type, a size that does not fit or an absent key raises BadPacked; a key that
 * nobody knows is passed over, because a newer version adds them.
 */
import { BadPacked, decode, encode, Float, isText, type Packable, type Packed } from "./packed";

export interface Shape<T> {
  read(value: Packed): T;
  write(value: T): Packable;
  /** The value of an absent key, or of a key that may be left out. */
  readonly absent?: { readonly value: T; readonly omit: boolean };
}
export type Of<S> = S extends { read(value: Packed): infer T } ? T : never;

/** Any shape: what is read is unknown, and nothing may be written unchecked. */
interface AnyShape {
  read(value: Packed): unknown;
  write(value: never): Packable;
  readonly absent?: { readonly value: unknown; readonly omit: boolean };
}
type Fields = Readonly<Record<string, AnyShape>>;
type Struct<F> = { readonly [K in keyof F]: F[K] extends { read(value: Packed): infer T } ? T : never };

function wrong(expected: string): never {
  // Never the value itself: it may be somebody's words.
  throw new BadPacked(`expected ${expected}`);
}

export function bytes<B extends Uint8Array = Uint8Array>(size?: number, least = 0): Shape<B> {
  return {
    read: (value) =>
      value instanceof Uint8Array && (size === undefined ? value.length >= least : value.length === size)
        ? (value as B)
        : wrong(`${size ?? "some"} bytes`),
    write: (value) => value,
  };
}

export const text: Shape<string> = {
  read: (value) => (isText(value) ? value : wrong("text")),
  write: (value) => value,
};

export const bool: Shape<boolean> = {
  read: (value) => (typeof value === "boolean" ? value : wrong("yes or no")),
  write: (value) => value,
};

/**
 * An integer of at least 0. One above 2^53 loses its last digits: it is only shown, or compared with what is far
 * smaller, and to refuse it would be a verdict that Python does not share.
 */
export function uint(most = Number.POSITIVE_INFINITY): Shape<number> {
  return {
    read: (value) =>
      (typeof value === "number" || typeof value === "bigint") && value >= 0 && value <= most
        ? Number(value)
        : wrong("a whole number"),
    write: (value) => value,
  };
}
export const u32 = uint(0xffff_ffff);
export const u64 = uint();

/** One of a few texts. */
export function choice<const C extends string>(...choices: readonly C[]): Shape<C> {
  return {
    read: (value) => choices.find((one) => one === value) ?? wrong("one of a few words"),
    write: (value) => value,
  };
}

export function list<T>(of: Shape<T>, least = 0, most = Number.POSITIVE_INFINITY): Shape<readonly T[]> {
  return {
    read: (value) =>
      Array.isArray(value) && value.length >= least && value.length <= most
        ? value.map((item) => of.read(item as Packed))
        : wrong("a list"),
    write: (value) => value.map((item) => of.write(item)),
  };
}

export function tuple<const S extends readonly AnyShape[]>(
  ...shapes: S
): Shape<{ readonly [K in keyof S]: S[K] extends { read(value: Packed): infer T } ? T : never }> {
  type T = { readonly [K in keyof S]: S[K] extends { read(value: Packed): infer U } ? U : never };
  return {
    read: (value) =>
      Array.isArray(value) && value.length === shapes.length
        ? (shapes.map((shape, at) => shape.read(value[at] as Packed)) as unknown as T)
        : wrong("a list of another length"),
    write: (value) =>
      shapes.map((shape, at) => (shape as Shape<unknown>).write((value as readonly unknown[])[at])),
  };
}

export function dict<T>(of: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return {
    read: (value) =>
      value instanceof Map
        ? new Map([...value].map(([key, item]) => [text.read(key), of.read(item as Packed)]))
        : wrong("a map"),
    write: (value) => new Map([...value].map(([key, item]) => [key, of.write(item)])),
  };
}

export function nullable<T>(of: Shape<T>): Shape<T | null> {
  return {
    read: (value) => (value === null ? null : of.read(value)),
    write: (value) => (value === null ? null : of.write(value)),
  };
}

/** A key that may be absent and then has this value. `omit`: it is left out when it has this value. */
export function optional<T>(of: Shape<T>, value: T, omit = false): Shape<T> {
  return { read: of.read, write: of.write, absent: { value, omit } };
}

export function struct<const F extends Fields>(fields: F): Shape<Struct<F>> & { readonly fields: F } {
  const names = Object.entries(fields) as unknown as [string, Shape<unknown>][];
  return {
    fields,
    read: (value) => {
      if (!(value instanceof Map)) wrong("a map");
      const found: Record<string, unknown> = {};
      for (const [name, shape] of names) {
        const given = (value as Map<string, Packed>).get(name);
        if (given !== undefined) found[name] = shape.read(given);
        else if (shape.absent) found[name] = shape.absent.value;
        else wrong(`the key ${name}`);
      }
      return found as Struct<F>;
    },
    write: (value) => {
      const written = new Map<string, Packable>();
      for (const [name, shape] of names) {
        const item = (value as Record<string, unknown>)[name];
        if (shape.absent?.omit && item === shape.absent.value) continue;
        written.set(name, shape.write(item));
      }
      return written;
    },
  };
}

/** A value whose shape is decided elsewhere. */
export const anything: Shape<Packed> = { read: (value) => value, write: (value) => value as Packable };

/** A number of either kind; written as a float only where it is none. */
export const number: Shape<number> = {
  read: (value) => {
    if (value instanceof Float) return value.value;
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : wrong("a number");
  },
  write: (value) => (Number.isSafeInteger(value) ? value : new Float(value)),
};

export function unpack<T>(shape: Shape<T>, data: Uint8Array): T {
  return shape.read(decode(data));
}

export function pack<T>(shape: Shape<T>, value: T): Uint8Array {
  return encode(shape.write(value));
}
