/** To which text an answer belongs (docs/spec/schema.md, Decisions). */
import { label, sha256 } from "../crypto/kdf";
import { hex } from "./ids";

export const MARK_BYTES = 8;

/**
 * 16 hexadecimal digits of a proposal's text. An answer carries it, so that an edit voids every answer by itself: no
 * clock and nobody's honesty is needed. Spaces around the text, and how a letter is composed, make no difference.
 */
export function decisionMark(text: string): string {
  const same = text.normalize("NFC").replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
  return hex(sha256(label("decision"), new TextEncoder().encode(same)).subarray(0, MARK_BYTES));
}
