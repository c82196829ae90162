/**
 * One tab leads: it has the store and the engine, the other tabs ask it. Two memories over one store would answer
 * differently, and could make one change twice.
 *
 * The leader holds a Web Lock. When its tab closes the next one gets it. A phone may freeze the leader's tab without closing
 * it: a tab that is not heard in time takes the lock away, and the store lets only the last opening write.
 */
import type { Change } from "./engine";
import type { Host } from "./host";
import { type Answer, type Between, type Call, mayAskAgain } from "./messages";
import { troubleOf } from "./plain";

const HEARD_WITHIN_MS = 2_500;

interface Waiting {
  readonly call: Call;
  heard: boolean;
}

export class Tab {
  private readonly me = crypto.randomUUID();
  private readonly channel: BroadcastChannel;
  private readonly waiting = new Map<number, Waiting>();
  private host: Host | undefined;
  private failure: unknown;
  /** Calls of other tabs that came while the store was being opened. */
  private early: { readonly from: string; readonly call: Call }[] | undefined;

  /** `place`: whose store it is. Tabs of other people on this device are not heard and not asked. */
  constructor(
    private readonly place: string,
    private readonly open: (tell: (change: Change) => void) => Promise<Host>,
    private readonly toPage: { answer(answer: Answer): void; change(change: Change): void },
  ) {
    this.channel = new BroadcastChannel(place);
    this.channel.onmessage = ({ data }: MessageEvent<Between>) => this.hear(data);
    this.stand(false);
  }

  /** A call of this tab's own page. */
  ask(call: Call): void {
    if (this.host) {
      void this.host.answer(call).then((answer) => this.toPage.answer(answer));
      return;
    }
    if (this.failure) {
      // Asked again when the page is loaded anew: a full disk or a private window does not mend by itself.
      this.toPage.answer({ id: call.id, ok: false, ...troubleOf(this.failure) });
      return;
    }
    this.forward(call);
  }

  private forward(call: Call): void {
    const waiting = { call, heard: false };
    this.waiting.set(call.id, waiting);
    this.say({ kind: "call", from: this.me, call });
    setTimeout(() => {
      if (this.waiting.get(call.id) === waiting && !waiting.heard && !this.host) this.stand(true);
    }, HEARD_WITHIN_MS);
  }

  /** Waits for the lock, or takes it from a leader that does not answer. */
  private stand(steal: boolean): void {
    const turn = { lost: false, letGo: () => {} };
    const released = navigator.locks.request(this.place, { steal }, async () => {
      await this.lead(turn);
      if (!turn.lost) {
        await new Promise<void>((resolve) => {
          turn.letGo = resolve;
        });
      }
    });
    released.catch(() => {
      // Taken by another tab: from now on that one is asked.
      turn.lost = true;
      turn.letGo();
      const { host } = this;
      this.host = undefined;
      void host?.end();
      this.stand(false);
    });
  }

  private async lead(turn: { readonly lost: boolean }): Promise<void> {
    this.early = [];
    try {
      const host = await this.open((change) => {
        this.say({ kind: "change", change });
        this.toPage.change(change);
      });
      if (turn.lost) {
        await host.end();
        return;
      }
      this.host = host;
    } catch (error) {
      this.failure = error;
    } finally {
      const { early } = this;
      this.early = undefined;
      for (const { from, call } of turn.lost ? [] : early) this.serve(from, call);
    }
    this.say({ kind: "leads" });
    this.again();
  }

  /** There is a new leader. What only reads is asked again; of the rest nobody knows whether it was done. */
  private again(): void {
    for (const { call, heard } of [...this.waiting.values()]) {
      this.waiting.delete(call.id);
      if (!heard || mayAskAgain(call.verb)) this.ask(call);
      else
        this.toPage.answer({
          id: call.id,
          ok: false,
          code: "busy",
          message: "another tab took over; look again",
        });
    }
    this.toPage.change({ case: null, part: null });
  }

  private hear(message: Between): void {
    switch (message.kind) {
      case "call": {
        const { from: to, call } = message;
        if (!this.host && !this.early) return;
        this.say({ kind: "heard", to, id: call.id });
        if (this.early) this.early.push({ from: to, call });
        else this.serve(to, call);
        return;
      }
      case "heard": {
        const waiting = message.to === this.me ? this.waiting.get(message.id) : undefined;
        if (waiting) waiting.heard = true;
        return;
      }
      case "answer":
        if (message.to === this.me && this.waiting.delete(message.answer.id))
          this.toPage.answer(message.answer);
        return;
      case "leads":
        if (!this.host) this.again();
        return;
      case "change":
        this.toPage.change(message.change);
    }
  }

  private serve(to: string, call: Call): void {
    void this.host?.answer(call).then((answer) => this.say({ kind: "answer", to, answer }));
  }

  private say(message: Between): void {
    this.channel.postMessage(message);
  }
}
