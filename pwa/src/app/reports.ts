/** The verbs of comparing, outside the relay, what it showed two people: part of the interface in engine.ts. */
import type { ReportVerdict } from "../core/reporting";

/** A longer file is none. */
export const MAX_REPORT_BYTES = 1_048_576;

export type { ReportVerdict } from "../core/reporting";

/** What comes of one stream. */
export interface ComparedLine {
  /** A part, `charter`, `keys`, or `view up` and `view down` with the access. */
  what: string;
  verdict: ReportVerdict;
  /** When the other log was first seen on this device, and on the other one, ISO 8601; by their own clocks. */
  since: string | null;
  theirsSince: string | null;
}

export interface ComparedWith {
  /** The worst of all lines. */
  verdict: ReportVerdict;
  name: string;
  /** Whether the person and the device still belong. */
  here: boolean;
  /** Made on this very device. */
  isThis: boolean;
  /** By the clock of the device that made it, ISO 8601. */
  made: string;
  /** One that was made later was compared here before. */
  older: boolean;
  lines: ComparedLine[];
}

export interface Reports {
  /** What the relay showed this device, to give to somebody else by another way. `own`: for a device of one's own. */
  report(case_: string, own?: boolean): Promise<{ name: string; content: string }>;
  /** Throws `bad_report`, `other_case`, `unknown_device`, `bad_signature`, `too_large`, `future_version`. */
  compareReport(case_: string, text: string): Promise<ComparedWith>;
}
