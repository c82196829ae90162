/** A list that only grows, shared by all states of one charter. */
import { type EntryHash, type Hex, hex } from "../ids";

/**
 * Entry number to entry hash and back. Immutable to look at; `andThen` costs the same however long it is: states of one
 * line share the storage, and a state that goes another way (a fork shown by the relay) copies it.
 */
export class Heads {
  private constructor(
    private readonly hashes: EntryHash[],
    private readonly places: Map<Hex, number>,
    readonly length: number,
  ) {}

  static empty(): Heads {
    return new Heads([], new Map(), 0);
  }

  andThen(head: EntryHash): Heads {
    let { hashes, places } = this;
    if (hashes.length !== this.length) {
      hashes = hashes.slice(0, this.length);
      places = new Map(hashes.map((known, at) => [hex(known), at + 1]));
    }
    hashes.push(head);
    places.set(hex(head), this.length + 1);
    return new Heads(hashes, places, this.length + 1);
  }

  /** The hash of entry `n`, from 1. */
  get(n: number): EntryHash | undefined {
    return n >= 1 && n <= this.length ? this.hashes[n - 1] : undefined;
  }

  /** The number of the entry with this hash. */
  index(head: EntryHash): number | undefined {
    const n = this.places.get(hex(head));
    return n !== undefined && n <= this.length ? n : undefined;
  }

  *[Symbol.iterator](): IterableIterator<EntryHash> {
    for (let at = 0; at < this.length; at++) yield this.hashes[at] as EntryHash;
  }
}
