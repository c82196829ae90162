/**
 * What two reports say of one log: the same, one a part of the other, or two logs that no honest relay shows: mirror of
 * core/eigenkring/differing.py. Spec: docs/spec/report.md. Pure, and without any secret: tags are compared, nobody asks what
 * they stand for.
 */
import { type Hex, hex } from "./ids";
import type { Line, Point, Report, Tag } from "./report";

export type Verdict =
  | "same"
  /** Whose log is the beginning of the other. */
  | "left_behind"
  | "right_behind"
  /** Two logs in one generation. */
  | "forked"
  /** Two logs, and the relay was put back between, or says so. */
  | "other_generation"
  /** No place in common. */
  | "unchecked";

/** What comes of one stream. Times are of the clocks of the devices that made the reports; 0 where they do not know. */
export interface Difference {
  readonly verdict: Verdict;
  readonly left: number;
  readonly right: number;
  /** Up to there both logs are known to be one. */
  readonly sameTo: number;
  /** Where they are known to differ, else 0. */
  readonly index: number;
  /** When the longer one first saw what the shorter lacks. */
  readonly since: number;
  /** When each first saw a log that goes beyond where they part. */
  readonly leftAt: number;
  readonly rightAt: number;
}

/** By id of the line; `onlyLeft` and `onlyRight` stand in one report. */
export interface Compared {
  readonly found: ReadonlyMap<Hex, Difference>;
  readonly onlyLeft: readonly Hex[];
  readonly onlyRight: readonly Hex[];
}

type TagAt = (index: number) => Tag | undefined;
type Generations = readonly Uint8Array[];
const AT = 1;
const INDEX = 2;

/** A line, and the generations in which each place of it was seen. */
class Side {
  private readonly tags: ReadonlyMap<number, Tag>;

  constructor(
    readonly line: Line,
    private readonly generations: Generations,
    private readonly tagAt: TagAt | undefined,
  ) {
    this.tags = new Map(line.points.map(([, , index, tag]) => [index, tag]));
  }

  /** On the log that lies there now. */
  tag(index: number): Hex | undefined {
    if (index > this.line.length) return undefined;
    const found = this.tags.get(index) ?? this.tagAt?.(index);
    return found && hex(found);
  }

  /**
   * Every tag that this side had at a place, with the generations in which it was there. Whoever saw a later place of a log
   * saw this one in the same generation.
   */
  at(index: number): { readonly tag: Hex; readonly generations: ReadonlySet<Hex> }[] {
    const found: { readonly tag: Hex; readonly generations: ReadonlySet<Hex> }[] = [];
    const tag = this.tag(index);
    const { points, gone, generation } = this.line;
    if (tag) {
      const seen = points.filter((point) => point[INDEX] >= index).map(([of]) => of);
      found.push({ tag, generations: this.named([...seen, generation]) });
    }
    for (const point of gone) {
      if (point[INDEX] === index) found.push({ tag: hex(point[3]), generations: this.named([point[0]]) });
    }
    return found;
  }

  private named(numbers: readonly number[]): ReadonlySet<Hex> {
    return new Set(
      numbers.flatMap((number) => {
        const tag = this.generations[number - 1];
        return tag ? [hex(tag)] : [];
      }),
    );
  }

  places(): number[] {
    return [...this.line.points, ...this.line.gone].map((point) => point[INDEX]);
  }
}

function firstBeyond(index: number, points: readonly Point[]): number {
  const times = points.filter((point) => point[INDEX] > index && point[AT] > 0).map((point) => point[AT]);
  return times.length > 0 ? Math.min(...times) : 0;
}

/**
 * Compares two lines of one stream, each with the generations of its report. `tagAt` gives the tag of any place of the left
 * log, where this device has it: then nothing depends on the places that the reports chose.
 */
export function difference(
  left: readonly [Line, Generations],
  right: readonly [Line, Generations],
  tagAt?: TagAt,
): Difference {
  const one = new Side(...left, tagAt);
  const other = new Side(...right, undefined);
  const { together, forked, elsewhere } = meet(one, other);
  const lengths = [one.line.length, other.line.length] as const;
  const shorter = Math.min(...lengths);
  const { now, isOtherNow } = present(one, other);
  let verdict: Verdict = "unchecked";
  if (forked.length > 0) verdict = "forked";
  else if (now.length > 0 && !isOtherNow) {
    verdict = lengths[0] === lengths[1] ? "same" : lengths[0] < lengths[1] ? "left_behind" : "right_behind";
  } else if (elsewhere.length > 0) verdict = "other_generation";
  const isParted = verdict === "forked" || verdict === "other_generation";
  const index = isParted ? Math.min(...(forked.length > 0 ? forked : elsewhere)) : 0;
  const sameTo = Math.max(0, ...(index ? together.filter((at) => at < index) : now));
  const longer = verdict === "left_behind" ? other : verdict === "right_behind" ? one : undefined;
  const since = longer ? firstBeyond(shorter, longer.line.points) : 0;
  const [leftAt = 0, rightAt = 0] = index
    ? [one, other].map(({ line }) => firstBeyond(index - 1, [...line.points, ...line.gone]))
    : [];
  return { verdict, left: lengths[0], right: lengths[1], sameTo, index, since, leftAt, rightAt };
}

/**
 * Places where both had the same log; where they had two in one generation, which no honest relay shows; and where they had
 * two, and the relay was put back between, or so it said.
 */
function meet(one: Side, other: Side): { together: number[]; forked: number[]; elsewhere: number[] } {
  const together: number[] = [];
  const forked: number[] = [];
  const elsewhere: number[] = [];
  for (const index of new Set([...one.places(), ...other.places()])) {
    for (const here of one.at(index)) {
      for (const there of other.at(index)) {
        if (here.tag === there.tag) together.push(index);
        else if ([...here.generations].some((of) => there.generations.has(of))) forked.push(index);
        else elsewhere.push(index);
      }
    }
  }
  return { together, forked, elsewhere };
}

/** Places where the two logs that lie there now are known to be one, and whether they are known to be two somewhere. */
function present(one: Side, other: Side): { readonly now: number[]; readonly isOtherNow: boolean } {
  const known = [...one.places(), ...other.places()].filter((index) => one.tag(index) && other.tag(index));
  const now = known.filter((index) => one.tag(index) === other.tag(index));
  return { now, isOtherNow: now.length < known.length };
}

/** Compares two reports of one case, stream by stream. `tagAt(id, index)` as in `difference`. */
export function differences(
  left: Report,
  right: Report,
  tagAt?: (id: Hex, index: number) => Tag | undefined,
): Compared {
  const theirs = new Map(right.lines.map((line) => [hex(line.id), line]));
  const found = new Map<Hex, Difference>();
  const onlyLeft: Hex[] = [];
  for (const line of left.lines) {
    const id = hex(line.id);
    const there = theirs.get(id);
    if (!there) {
      onlyLeft.push(id);
      continue;
    }
    const known = tagAt && ((index: number) => tagAt(id, index));
    found.set(id, difference([line, left.generations], [there, right.generations], known));
  }
  return { found, onlyLeft, onlyRight: [...theirs.keys()].filter((id) => !found.has(id)) };
}
