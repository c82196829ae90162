/** What all screens share: the engine, where we are, the status, and this device's few settings. */
import type { Change, Engine, Lock, Status } from "../app/engine";
import type { Loss } from "../app/mending-rows";
import { type Lang, setLang, t } from "./i18n.svelte";
import { linkIn, parseRoute, type Route } from "./route";

const NO_STATUS: Status = { online: true, unsent: 0, synced: null, alarms: [] };
const SETTINGS = "settings";
/** What others write is drawn in a pause of who types here, or after so long: a letter must not wait for it. */
const TYPING_MS = 400;
const TYPING_MOST_MS = 2_000;

class App {
  /** Counts changes; whatever reads it is read again. */
  tick = $state(0);
  route = $state.raw<Route>({ at: "home" });
  status = $state.raw<Status>(NO_STATUS);
  /** Nobody knows whether all was sent: the engine begins anew. */
  unsure = $state(false);
  /** Where one came from before the settings or the notices. */
  before = $state("#/");
  hidden = $state(false);
  textSize = $state(0);
  /** A link that somebody opened: only in memory, never stored, gone from the address bar. */
  link = $state.raw<string | null>(null);
  /** Suggestions that this person does not want now, by their random ids: only on this phone, so that a no reaches nobody. */
  aside = $state.raw<readonly string[]>([]);
  /** One short sentence that screen readers say aloud. */
  said = $state("");
  #engine = $state.raw<(Engine & Partial<Lock>) | undefined>(undefined);
  #typedAt = Number.NEGATIVE_INFINITY;
  #heard = 0;
  /** Whether a PIN is asked before anything is read. */
  locked = $state(false);
  /** The browser threw away what lay on this device: only the screen still has it. */
  cleared = $state(false);
  /** Something on this device is damaged, and not yet read anew. */
  torn = $state(false);
  losses = $state.raw<readonly Loss[]>([]);

  get engine(): Engine & Partial<Lock> {
    if (!this.#engine) throw new Error("the engine is not connected");
    return this.#engine;
  }

  async use(engine: Engine & Partial<Lock>): Promise<() => void> {
    this.#engine = engine;
    let waiting = false;
    const changed = (change: Change): void => {
      this.#hear(change);
      if (waiting || change.only === "status") return;
      waiting = true;
      const since = performance.now();
      const look = (): void => {
        const now = performance.now();
        if (now - this.#typedAt < TYPING_MS && now - since < TYPING_MOST_MS) {
          setTimeout(look, 100);
          return;
        }
        waiting = false;
        this.tick++;
        void this.#readStatus();
      };
      setTimeout(look, 40);
    };
    const ends = [engine.subscribe(changed), this.#watchTyping()];
    // Before anything is shown: a screen that does not know yet what waits would say that all was sent.
    await this.#readStatus();
    return () => {
      for (const end of ends) end();
    };
  }

  #watchTyping(): () => void {
    const seen = ({ type }: Event): void => {
      // Who is ready sees at once what came of it.
      this.#typedAt = type === "input" ? performance.now() : Number.NEGATIVE_INFINITY;
    };
    const events = ["input", "click", "submit", "focusout"];
    for (const event of events) addEventListener(event, seen, { capture: true, passive: true });
    return () => {
      for (const event of events) removeEventListener(event, seen, { capture: true });
    };
  }

  /** What waits comes with the change itself, before whoever made it has an answer. */
  #hear({ unsent }: Change): void {
    this.#heard++;
    this.unsure = unsent === undefined;
    if (unsent === undefined) return;
    if (unsent !== this.status.unsent) this.status = { ...this.status, unsent };
  }

  async #readStatus(): Promise<void> {
    const heard = this.#heard;
    const lock = this.readLock();
    try {
      const read = await this.engine.status();
      // A change that came meanwhile knows better than an answer that was on its way.
      this.status = heard === this.#heard ? read : { ...read, unsent: this.status.unsent };
      if (heard === this.#heard) this.unsure = false;
    } catch {
      // Locked: the lock says so.
      this.unsure = false;
    }
    await lock;
  }

  async readLock(): Promise<void> {
    // Beside each other: the first screen waits for both.
    const [state, losses = []] = await Promise.all([this.engine.lockState?.(), this.engine.losses?.()]);
    this.locked = state === "locked";
    this.cleared = state === "cleared";
    this.torn = state === "torn";
    this.losses = losses;
  }

  /** Reads the address. A secret is taken out of it before anything else can see it. */
  follow = (): void => {
    const link = linkIn(location.href);
    if (link) {
      this.link = link;
      history.replaceState(null, "", "#/link");
    }
    this.route = parseRoute(location.hash);
    if (!["settings", "alarms", "paper", "verify", "bring"].includes(this.route.at))
      this.before = location.hash || "#/";
  };

  go(href: string, instead = false): void {
    if (instead) history.replaceState(null, "", href);
    else history.pushState(null, "", href);
    this.follow();
  }

  /** Hides what is on the screen at once, and locks where there is a PIN. */
  hide(on: boolean): void {
    this.hidden = on;
    if (!on) return;
    document.title = t("app");
    this.said = "";
    // Without a PIN there is nothing to lock: then it is only out of sight.
    void this.#engine
      ?.lock?.()
      .catch(() => undefined)
      .then(() => this.readLock());
  }

  /** With a PIN, or with what a passkey answered. */
  async unlock(given: string | Uint8Array): Promise<void> {
    if (typeof given === "string") await this.engine.unlock?.(given);
    else await this.engine.unlockWithPasskey?.(given);
    await this.readLock();
    this.tick++;
    void this.#readStatus();
  }

  say(text: string): void {
    this.said = "";
    setTimeout(() => {
      this.said = text;
    }, 50);
  }

  layAside(item: string): void {
    this.aside = [...this.aside, item];
    this.saveSettings({});
  }

  loadSettings(): void {
    let stored: { lang?: unknown; textSize?: unknown; aside?: unknown } = {};
    try {
      stored = JSON.parse(localStorage.getItem(SETTINGS) ?? "{}");
    } catch {
      // Storage may be closed to us; the settings of this visit then last as long as the visit.
    }
    const wanted = stored.lang ?? (navigator.language.startsWith("en") ? "en" : "nl");
    setLang(wanted === "en" ? "en" : "nl");
    this.aside = Array.isArray(stored.aside)
      ? stored.aside.filter((one): one is string => typeof one === "string")
      : [];
    this.#setTextSize(typeof stored.textSize === "number" ? stored.textSize : 0);
  }

  saveSettings(change: { lang?: Lang; textSize?: number }): void {
    if (change.lang) setLang(change.lang);
    if (change.textSize !== undefined) this.#setTextSize(change.textSize);
    try {
      const kept = { lang: document.documentElement.lang, textSize: this.textSize, aside: this.aside };
      localStorage.setItem(SETTINGS, JSON.stringify(kept));
    } catch {
      // As above.
    }
  }

  #setTextSize(size: number): void {
    this.textSize = Math.min(2, Math.max(0, Math.trunc(size)));
    const classes = document.documentElement.classList;
    classes.toggle("text-1", this.textSize === 1);
    classes.toggle("text-2", this.textSize === 2);
  }
}

export const app = new App();
