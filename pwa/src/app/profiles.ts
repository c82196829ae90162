/**
 * Several people on one phone: each has a place of their own, a store with a lock of its own. Nothing leads from one to
 * the other: another database under other keys, another worker, another lock between tabs.
 *
 * A place is called by a sign and never by a name: who looks at a locked phone may see that two people use it, not who.
 * The list is the list of the databases, so there is nothing else to keep right.
 */
export const SIGNS = ["sun", "boat", "tree", "star", "fish", "bird"] as const;
export type Sign = (typeof SIGNS)[number];
/** The place that was there first. */
export const FIRST = "house";
export type Profile = typeof FIRST | Sign;

const DATABASE = "eigenkring";

export function isProfile(given: unknown): given is Profile {
  return given === FIRST || SIGNS.some((sign) => sign === given);
}

/** What the store of a place is called, and the lock and the channel between its tabs. */
export function placeOf(profile: Profile): string {
  return profile === FIRST ? DATABASE : `${DATABASE} ${profile}`;
}

/** The places there are on this device, the first one first. */
export async function profiles(): Promise<Profile[]> {
  const names = new Set((await indexedDB.databases()).map(({ name }) => name));
  return [FIRST, ...SIGNS.filter((sign) => names.has(placeOf(sign)))];
}
