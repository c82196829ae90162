/** Whether who signed a record may have: by the charter, and by what was seen of the stream. Spec: docs/spec/part.md (Fold). */
import { Inadmissible } from "../errors";
import { type Chain, type DeviceId, type EntryHash, type Hex, hex, same, unhex } from "../ids";
import type { Rights } from "./rights";
import type { Verdict } from "./verdict";

/** The stream's chain at a length, or undefined where it is not known any more. */
export type ChainAt = (length: number) => Chain | undefined;

export class Standing {
  /** Of the last snapshot taken, or where the fold began. */
  base: number | undefined;
  /** Highest epoch that an accepted record was attested in. */
  epoch = 0;
  /** Something was refused that a longer charter may allow. */
  mayHeal = false;
  private readonly waiting = new Set<Hex>();

  constructor(private readonly writeRoom: string) {}

  /** Whether the charter holds an entry that a record waits for. */
  isAwaited(charter: Rights): boolean {
    return [...this.waiting].some((head) => charter.headIndex(unhex<EntryHash>(head)) !== undefined);
  }

  /** False when the record waits for the charter: its author knew more of it than was read here. */
  mayWrite(
    known: boolean,
    device: DeviceId,
    epoch: number,
    head: EntryHash,
    charter: Rights,
    verdict: Verdict,
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
    if (charter.epochAt(this.writeRoom, n) !== epoch) {
      throw new Inadmissible("wrong_epoch", undefined, hex(device));
    }
    if (!charter.wroteInEpoch(device, this.writeRoom, epoch)) {
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
}
