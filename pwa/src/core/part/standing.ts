/** Whether who signed a record may have: by the charter, and by what was seen of the stream. Spec: docs/spec/part.md (Fold). */
import { Inadmissible } from "../errors";
import { type Chain, type DeviceId, type EntryHash, type Hex, hex, type StreamId, same, unhex } from "../ids";
import type { Source } from "./ledger";
import type { Rights } from "./rights";
import type { Content, Unfolded } from "./snapshot";
import { Verdict } from "./verdict";
import { isSigned, type Vouched } from "./vouched";

/** The stream's chain at a length, or undefined where it is not known any more. */
export type ChainAt = (length: number) => Chain | undefined;

/** `manageRoom`: who may make a snapshot of what others wrote. */
export interface PartOf {
  readonly stream: StreamId;
  readonly name: string;
  readonly writeRoom: string;
  readonly manageRoom: string;
}

/** A snapshot that stands: what is in it, and the attestations whose authors had the right. */
export interface Judged {
  readonly content: Content;
  readonly sources: readonly Source[];
  /** Else who made it manages what another one writes, and it may leave out nothing that is known here. */
  readonly byWriter: boolean;
}

/** What a verdict may still hang on: the charter as it was at the last record, and what was not in it. */
export interface Outlook {
  readonly height: number;
  /** Hashes of charter entries that records wait for. */
  readonly waiting: Iterable<Hex>;
  /** Something was refused that a longer charter may allow. */
  readonly mayHeal: boolean;
  readonly cuts: number;
}

/** Whether a longer charter can change a verdict: then the part is folded again. */
export function isOutdated(
  { height, waiting, mayHeal, cuts }: Outlook,
  stream: StreamId,
  now: Rights,
): boolean {
  for (const head of waiting) if (now.headIndex(unhex<EntryHash>(head)) !== undefined) return true;
  return now.n !== height && (mayHeal || cutsIn(now, stream) !== cuts);
}

export function cutsIn(charter: Rights, stream: StreamId): number {
  return charter.cuts.get(hex(stream))?.length ?? 0;
}

export class Standing {
  /** Of the last snapshot taken, or where the fold began. */
  base: number | undefined;
  /** Highest epoch that an accepted record was attested in. */
  epoch = 0;
  /** Something was refused that a longer charter may allow. */
  mayHeal = false;
  /** Hashes of charter entries that records wait for. */
  readonly waiting = new Set<Hex>();

  constructor(
    private readonly part: PartOf,
    private readonly unfolded: Unfolded,
  ) {}

  /**
   * False when the record waits for the charter: its author knew more of it than was read here. `makes`: a snapshot, which
   * who manages the stream at `head` may make as well.
   */
  mayWrite(
    known: boolean,
    device: DeviceId,
    epoch: number,
    head: EntryHash,
    charter: Rights,
    verdict: Verdict,
    makes = false,
  ): boolean {
    const n = charter.headIndex(head);
    if (n === undefined) {
      this.waiting.add(hex(head));
      verdict.waits = true;
      return false;
    }
    if (!known) {
      this.mayHeal = true;
      // No signature was checked, so nobody is named, or anyone could blame anyone.
      throw new Inadmissible("unknown_device");
    }
    if (charter.epochAt(this.part.writeRoom, n) !== epoch) {
      throw new Inadmissible("wrong_epoch", undefined, hex(device));
    }
    const managing = makes ? charter.epochAt(this.part.manageRoom, n) : undefined;
    if (managing !== undefined && charter.wroteInEpoch(device, this.part.manageRoom, managing)) return true;
    if (!charter.wroteInEpoch(device, this.part.writeRoom, epoch)) {
      this.mayHeal = true;
      throw new Inadmissible("not_a_writer", undefined, hex(device));
    }
    return true;
  }

  /**
   * From base on everybody knows the chain, so everybody refuses alike. Before base only some do: there a false word is
   * reported, and the verdict is that of those who cannot know.
   */
  checkSeen(length: number, chain: Chain, device: DeviceId, chainAt: ChainAt, verdict: Verdict): void {
    const known = chainAt(length);
    const isBeforeBase = length < (this.base ?? 0);
    if (isBeforeBase || !known) verdict.unchecked = true;
    if (!known || same(known, chain)) return;
    if (!isBeforeBase) throw new Inadmissible("false_seen", undefined, hex(device));
    verdict.falseBeforeBase.push(hex(device));
  }

  /** Undefined when it waits for the charter. */
  judgeSnapshot(
    index: number,
    vouched: Vouched<"snapshot">,
    chainAt: ChainAt,
    charter: Rights,
    verdict: Verdict,
  ): Judged | undefined {
    const { body } = vouched;
    const known = isSigned(vouched.signed);
    if (!this.mayWrite(known, body.by, body.epoch, body.head, charter, verdict, true)) return undefined;
    const refuse = (code: string) => new Inadmissible(code, undefined, hex(body.by));
    if (body.n !== index - 1) throw refuse("false_seen");
    this.checkSeen(body.n, body.chain, body.by, chainAt, verdict);
    // Who was removed keeps old keys: with a relay that helps, an old snapshot would hide what came since.
    if (body.epoch < this.epoch) throw refuse("wrong_epoch");
    const content = this.unfolded.open(body);
    const sources: Source[] = [];
    const rights = new Verdict();
    content.atts.forEach((att, at) => {
      try {
        const known = isSigned(vouched.atts[at]);
        const may = this.mayWrite(known, att.device, att.epoch, att.head, charter, rights);
        if (may) sources.push({ att, path: [], newest: hex(att.newest) });
      } catch (error) {
        if (!(error instanceof Inadmissible)) throw error;
        rights.refuse(error.code, error.device);
      }
    });
    if (rights.waits) {
      verdict.waits = true;
      return undefined;
    }
    verdict.refused.push(...rights.refused);
    const byWriter = charter.wroteInEpoch(body.by, this.part.writeRoom, body.epoch);
    return { content, sources, byWriter };
  }
}
