/**
 * The operations of a change, and what many of them are: letters typed one after the other. Spec: docs/spec/change.md.
 *
 * A word of six letters is six operations that say almost nothing: each stands after the one before it. They are read, checked
 * and packed as one stretch, and taken apart only for who asks for each of them (docs/decisions/stretches.md). Mirrors
 * core/eigenkring/operation.py.
 */
import type { Hex } from "./ids";
import { readText, type Scalar } from "./scalars";

export type Action = "make_map" | "make_text" | "set" | "insert" | "del";

/** Names an operation. They are ordered by counter, then by actor. */
export interface OpId {
  readonly counter: number;
  readonly actor: Hex;
}

/**
 * One operation. `key` is text in a map and null in a text; there `element` null is the beginning. `insert` puts the
 * one scalar of `value` after `element`; `del` in a text removes `element`.
 */
export interface Op {
  readonly action: Action;
  readonly obj: OpId | null;
  readonly key: string | null;
  readonly element: OpId | null;
  readonly value: Scalar;
  readonly pred: readonly OpId[];
}

const NO_NAMES: readonly OpId[] = [];

/** Insertions of one scalar each into the text `obj`: the first after `element`, every other after the one before. */
export class Stretch {
  readonly action = "insert";
  readonly key = null;
  readonly pred = NO_NAMES;

  /** `data` was seen to be the UTF-8 of `size` scalars. It is a piece of the change. */
  constructor(
    readonly obj: OpId,
    readonly element: OpId | null,
    private readonly data: Uint8Array,
    readonly size: number,
  ) {}

  get text(): string {
    return readText(this.data);
  }
}

/** The operations of a change from the counter `start` on: each of them, and `spans` of them. */
export class Operations {
  readonly length: number;
  /** Of the first operation of each span, from 0. */
  private readonly places: number[] = [];

  constructor(
    private readonly actor: Hex,
    readonly start: number,
    readonly spans: readonly (Op | Stretch)[],
  ) {
    let size = 0;
    for (const span of spans) {
      this.places.push(size);
      size += span instanceof Stretch ? span.size : 1;
    }
    this.length = size;
  }

  /** The counter of the first operation of the span with this number; of the one behind the last, where it would begin. */
  first(nth: number): number {
    return this.start + (nth < this.places.length ? (this.places[nth] as number) : this.length);
  }

  /** What the operation at this place is, or is a part of. */
  spanAt(place: number): Op | Stretch {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.places[middle] as number) <= place) low = middle + 1;
      else high = middle;
    }
    return this.spans[low - 1] as Op | Stretch;
  }

  each(): Op[] {
    const ops: Op[] = [];
    for (const span of this.spans) {
      if (!(span instanceof Stretch)) {
        ops.push(span);
        continue;
      }
      let { element } = span;
      for (const value of span.text) {
        ops.push({ action: "insert", obj: span.obj, key: null, element, value, pred: NO_NAMES });
        element = { counter: this.start + ops.length - 1, actor: this.actor };
      }
    }
    return ops;
  }
}

/** As they were read; of a change that was put together by hand each by itself. */
export function operationsOf(change: {
  readonly actor: Hex;
  readonly startOp: number;
  readonly ops: Operations | readonly Op[];
}): Operations {
  const { actor, startOp, ops } = change;
  return ops instanceof Operations ? ops : new Operations(actor, startOp, ops);
}

export function sameName(a: OpId | null, b: OpId | null): boolean {
  return a === b || (a !== null && b !== null && a.counter === b.counter && a.actor === b.actor);
}
