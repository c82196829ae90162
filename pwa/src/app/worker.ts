/** The engine's worker: Automerge is loaded here, once somebody writes or something came, so that it never holds up the screen. */
import { engineReady } from "../engine";
import { Host } from "./host";
import { Tab } from "./leader";
import type { Begin, Call, ToPage } from "./messages";
import { placeOf } from "./profiles";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Begin | Call>) => void) | null;
  postMessage(message: ToPage): void;
};

// The relay that serves the app: this file lies in its `assets/`, also where the app has a folder of its own.
const ownRelay = new URL("..", self.location.href).href.replace(/\/$/, "");

function begin({ profile, life }: Begin): Tab {
  // Held as long as this worker lives: a system that ends it tells nobody, but it lets go of the lock.
  void navigator.locks.request(life, () => {
    scope.postMessage({ kind: "alive" });
    return new Promise<never>(() => {});
  });
  return new Tab(placeOf(profile), (tell) => Host.open(ownRelay, tell, profile, engineReady), {
    answer: (answer) => scope.postMessage({ kind: "answer", answer }),
    change: (change) => scope.postMessage({ kind: "change", change }),
  });
}

let tab: Tab | undefined;
scope.onmessage = ({ data }) => {
  if ("kind" in data) tab ??= begin(data);
  else tab?.ask(data);
};
