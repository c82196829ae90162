/** What the screens know of a photo or file: what it is, its small picture, never its key. Spec: docs/spec/attachments.md. */
import type { Value } from "./engine";

/** How the value of an attachment begins when it crosses to the screens. Nobody can write it: it is no value of a field. */
export const ATTACHMENT = "attachment:";

export interface Photo {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** A `data:` address of the small picture, or nothing. */
  readonly preview: string | null;
  /** Why it cannot be shown here: broken, or of a newer app. */
  readonly code: string | null;
}

/** Null for every other value. */
export function photoOf(value: Value | undefined): Photo | null {
  if (typeof value !== "string" || !value.startsWith(`${ATTACHMENT}{`)) return null;
  let found: { name?: string; type?: string; size?: number; preview?: string; code?: string };
  try {
    found = JSON.parse(value.slice(ATTACHMENT.length));
  } catch {
    return null; // somebody's words
  }
  const { name = "", type = "", size = 0, preview = "", code = null } = found;
  const kind = pictureType(Uint8Array.from(atob(preview).slice(0, 16), (sign) => sign.charCodeAt(0)));
  return { name, type, size, preview: kind && `data:${kind};base64,${preview}`, code };
}

/** By its first bytes, never by what somebody says it is: a page that calls itself a picture is not shown as one. */
export function pictureType(data: Uint8Array): string | null {
  const head = String.fromCharCode(...data.subarray(0, 12));
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  return head.startsWith("RIFF") && head.slice(8) === "WEBP" ? "image/webp" : null;
}
