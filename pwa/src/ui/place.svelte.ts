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
