// In a page the browser's own IndexedDB is there.

/** What a browser does to a page whose site is cleared; the real thing, over Chromium's own line, is in tests/browser. */
export function forceCloseDatabase(db: IDBDatabase): void {
  db.close();
  db.dispatchEvent(new Event("close"));
}
