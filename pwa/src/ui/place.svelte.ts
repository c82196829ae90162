/** Whose place on this device is open in this tab, and where the app itself stands: in a browser or on the home screen. */
import { FIRST, isProfile, type Profile } from "../app/profiles";

const KEY = "profile";

/** This tab's, else the one that was used last on this device. */
export function currentProfile(): Profile {
  try {
    const kept = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
    return isProfile(kept) ? kept : FIRST;
  } catch {
    return FIRST; // Storage is closed to us.
  }
}

/** To another's place. The page begins anew, so that nothing of the one who was here stays in its memory. */
export function goToProfile(profile: Profile, link: string | null = null): void {
  try {
    sessionStorage.setItem(KEY, profile);
    localStorage.setItem(KEY, profile);
  } catch {
    // Then there is one place only.
  }
  // A link that somebody opened goes along; the page takes it out of the address again.
  history.replaceState(null, "", link ? `#${link.split("#")[1]}` : "#/");
  location.reload();
}

/** In a browser whose home-screen apps keep a storage of their own: what is joined here is not there. */
export function homeScreenIsApart(): boolean {
  return (navigator as { standalone?: boolean }).standalone === false;
}

/** It can go to the home screen and find there what is here: not where it stands there already, nor where that is apart. */
export function canGoHome(): boolean {
  return !("standalone" in navigator) && !matchMedia("(display-mode: standalone)").matches;
}

/** What a browser shows beside the app's name and takes to the home screen. */
const ICONS = [
  { rel: "icon", href: "./icon.svg", type: "image/svg+xml" },
  { rel: "apple-touch-icon", href: "./icon-192.png" },
  { rel: "manifest", href: "./manifest.webmanifest" },
];

/**
 * Names icons and manifest, once. The page itself names none: a browser fetches, reads and draws them at once, and a slow phone
 * waited for that before it saw a word of its own.
 */
export function showIcons(): void {
  if (document.querySelector('link[rel="manifest"]')) return;
  for (const none of document.querySelectorAll('link[rel="icon"]')) none.remove();
  document.head.append(...ICONS.map((icon) => Object.assign(document.createElement("link"), icon)));
}

/**
 * Puts an address to move in by in the address bar, where "add to the home screen" finds it, and gives the function that takes
 * it out: with the screen, and before a person follows a link, so that it does not stay behind in the history of this tab.
 * The manifest of the app would make an icon that opens the app and not this address: meanwhile the page names another one.
 */
export function showAddress(link: string, route: string): () => void {
  const fragment = `#${link.split("#")[1]}`;
  showIcons();
  const manifest = document.querySelector<HTMLLinkElement>('link[rel="manifest"]');
  const other = manifest?.cloneNode() as HTMLLinkElement | undefined;
  if (other) other.href = "./manifest-moving.webmanifest";
  if (other) manifest?.replaceWith(other);
  history.replaceState(null, "", fragment);
  const hide = (): void => {
    if (location.hash === fragment) history.replaceState(null, "", route);
  };
  const leaving = ({ target }: Event): void => {
    if (target instanceof Element && target.closest("a[href]")) hide();
  };
  addEventListener("click", leaving, { capture: true });
  return () => {
    removeEventListener("click", leaving, { capture: true });
    hide();
    if (manifest) other?.replaceWith(manifest);
  };
}

const KEPT = "kept";

/**
 * Whether something of a person lies in this place. A browser that clears away what an app keeps often leaves this line, so
 * that an empty screen can say what happened. It says that, and nothing of what.
 */
export function noteKept(kept: boolean): void {
  try {
    const key = `${KEPT} ${currentProfile()}`;
    if (kept) localStorage.setItem(key, "1");
    else localStorage.removeItem(key);
  } catch {
    // Storage is closed to us: then an empty screen is as on the first day.
  }
}

export function wasKept(): boolean {
  try {
    return localStorage.getItem(`${KEPT} ${currentProfile()}`) !== null;
  } catch {
    return false;
  }
}
