/** The engine's worker: Automerge is loaded here, so that a long fold never holds up the screen. */
import { engineReady } from "../engine";
import { Host } from "./host";
import { Tab } from "./leader";
import type { Call, ToPage } from "./messages";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Call>) => void) | null;
  postMessage(message: ToPage): void;
};

// The relay that serves the app: this file lies in its `assets/`, also where the app has a folder of its own.
const ownRelay = new URL("..", self.location.href).href.replace(/\/$/, "");

const tab = new Tab(
  async (tell) => {
    await engineReady();
    return Host.open(ownRelay, tell);
  },
  {
    answer: (answer) => scope.postMessage({ kind: "answer", answer }),
    change: (change) => scope.postMessage({ kind: "change", change }),
  },
);
scope.onmessage = ({ data }) => tab.ask(data);
