/** Comparing, outside the relay, what it showed two people: the verbs of reports.ts as thin calls of the library. */
import { compare, report } from "../core/reporting";
import { dayOf, isoOf } from "./plain";
import type { ComparedWith, Reports } from "./reports";
import { WaysEngine } from "./ways-engine";

const when = (seconds: number | null): string | null => (seconds === null ? null : isoOf(seconds));

export class ReportsEngine extends WaysEngine implements Reports {
  async report(case_: string, own = false): Promise<{ name: string; content: string }> {
    const one = await this.device.case(case_);
    // What lies at the relay now belongs to it; without a connection it says what was there.
    await one.syncQuietly();
    const content = await report(one, own);
    return { name: `vergelijken-${dayOf(this.device.around.clock())}.txt`, content };
  }

  async compareReport(case_: string, text: string): Promise<ComparedWith> {
    return this.write(case_, null, async (one) => {
      await one.syncQuietly();
      const found = await compare(one, text);
      return {
        verdict: found.verdict,
        name: found.by.name,
        here: found.by.here,
        isThis: found.by.this,
        made: isoOf(found.at),
        older: found.older,
        lines: found.streams.map(({ what, verdict, since, leftSince, rightSince }) => ({
          what,
          verdict,
          since: when(leftSince ?? (verdict === "they_behind" ? since : null)),
          theirsSince: when(rightSince ?? (verdict === "you_behind" ? since : null)),
        })),
      };
    });
  }
}
