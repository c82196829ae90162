/** Bytes as text, a character each: what is searched for words that may not be there. */
export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
