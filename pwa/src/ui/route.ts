/** Addresses live in the fragment: `#/case/ID/plan`. Nothing of them ever reaches a server. */

export type Route =
  | { at: "home" }
  | { at: "start" }
  | { at: "link" }
  | { at: "move" }
  | { at: "settings" }
  | { at: "alarms" }
  | { at: "paper" }
  | { at: "come-back" }
  | { at: "verify" }
  | { at: "bring" }
  | { at: "case"; id: string; page: CasePage; arg: string }
  | { at: "view"; id: string };

/** The pages of a case, by the place of the bar at the bottom from which one comes there. */
export const PLACES = {
  overview: ["overview", "question", "parted"],
  plan: ["plan"],
  circle: ["circle", "person", "heard", "lost", "invite", "without"],
  more: [
    "more",
    "part",
    "decision",
    "access",
    "give",
    "grant",
    "log",
    "history",
    "devices",
    "incoming",
    "along",
    "compare",
    "leave",
  ],
} as const;
export type Place = keyof typeof PLACES;
export type CasePage = (typeof PLACES)[Place][number];
const CASE_PAGES: readonly CasePage[] = Object.values(PLACES).flat();

const decoded = (word: string): string => {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
};

/** What cannot be understood leads home: an old bookmark must not end in an error. */
export function parseRoute(hash: string): Route {
  const [first = "", second = "", third = "", ...rest] = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .map(decoded);
  switch (first) {
    case "start":
    case "link":
    case "move":
    case "settings":
    case "alarms":
    case "paper":
    case "come-back":
    case "verify":
    case "bring":
      return { at: first };
    case "view":
      return second ? { at: "view", id: second } : { at: "home" };
    case "case": {
      if (!second) return { at: "home" };
      const page = CASE_PAGES.find((known) => known === third) ?? "overview";
      return { at: "case", id: second, page, arg: rest.join("/") };
    }
    default:
      return { at: "home" };
  }
}

export function caseHref(id: string, page: CasePage = "overview", arg = ""): string {
  const words = ["case", id, ...(page === "overview" ? [] : [page]), ...(arg ? [arg] : [])];
  return `#/${words.map(encodeURIComponent).join("/")}`;
}

/** Whether a link is an address to move in by, whole or not: version 1, kind 4. */
export function isMove(link: string): boolean {
  return /#AQ[Q-T]/.test(link);
}

/** The whole link when the fragment is a secret (base64url, no slash in front), or null. */
export function linkIn(address: string): string | null {
  const [page = "", secret = ""] = address.split("#", 2);
  return /^[A-Za-z0-9_-]{20,}$/.test(secret) ? `${page}#${secret}` : null;
}
