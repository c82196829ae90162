/** Hands a file to the person: from here on it is theirs, and no longer locked. */
export function saveFile(name: string, type: string, content: string | Uint8Array): void {
  const data = typeof content === "string" ? content : new Uint8Array(content);
  const address = URL.createObjectURL(new Blob([data], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Later: some browsers begin to read only after the click has ended.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
