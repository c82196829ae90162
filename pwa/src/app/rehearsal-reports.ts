/** The rehearsal's comparing: a file says in words what is to come of it (rehearsal.ts). */
import { Failure } from "./engine";
import { RehearsalWays } from "./rehearsal-ways";
import type { ComparedWith, Reports, ReportVerdict } from "./reports";

const VERDICTS: ReportVerdict[] = [
  "forked",
  "other_generation",
  "you_behind",
  "they_behind",
  "same",
  "unchecked",
];

export class RehearsalReports extends RehearsalWays implements Reports {
  async report(): Promise<{ name: string; content: string }> {
    return { name: "vergelijken-2026-03-16.txt", content: "same" };
  }

  async compareReport(_: string, text: string): Promise<ComparedWith> {
    const verdict = VERDICTS.find((one) => text.includes(one));
    if (!verdict) throw new Failure(text.includes("unknown") ? "unknown_device" : "bad_report");
    const moments = { since: "2026-03-14T19:02:00Z", theirsSince: "2026-03-14T20:40:00Z" };
    const same = { verdict: "same" as const, since: null, theirsSince: null };
    return {
      verdict,
      name: "Fatima",
      here: !text.includes("gone"),
      isThis: false,
      made: "2026-03-16T10:12:00Z",
      older: text.includes("older"),
      lines: [
        { what: "charter", ...same },
        { what: "keys", ...same },
        { what: "circle", ...same },
        { what: "plan", ...(verdict === "forked" ? moments : same), verdict },
        { what: "decisions", ...same },
        { what: "contacts@a300000000000103", ...same },
        { what: `view up ${"a1".repeat(16)}`, ...same, verdict: "unchecked" },
      ],
    };
  }
}
