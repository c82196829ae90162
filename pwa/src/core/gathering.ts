/**
 * What a relay pushed, gathered until this device takes it in: what comes together is taken in together.
 *
 * An own word that comes back shows nobody anything new. So it waits for what comes after it, a moment at most, and leaves
 * the processor to what somebody waits for: the next letter here, the other's word. Anything else is taken in at once, and
 * what was gathered before it goes first.
 */
import { hex, same } from "./ids";
import type { CaseSession } from "./session/parts";
import { type Pushed, takePushed } from "./session/pushed";

/** Shorter than between two letters, longer than a word takes to the other. */
export const OWN_WAITS_MS = 10;

export class Gathering {
  private heard: Pushed[] = [];
  private taking: Promise<boolean> | undefined;
  private hurry: () => void = () => {};

  /** `alone`: runs a conversation with the relay when no other one is under way. */
  constructor(
    private readonly session: CaseSession,
    private readonly alone: (work: () => Promise<boolean>) => Promise<boolean>,
  ) {}

  /** Gives whether nothing is left for a sync to look at. */
  hear(pushed: Pushed): Promise<boolean> {
    const isOwn = isWaitedFor(this.session, pushed);
    this.heard.push(pushed);
    if (!isOwn) this.hurry();
    this.taking ??= isOwn ? this.pause().then(() => this.take()) : this.take();
    return this.taking;
  }

  private pause(): Promise<void> {
    return new Promise((done) => {
      const late = setTimeout(done, OWN_WAITS_MS);
      this.hurry = () => {
        clearTimeout(late);
        done();
      };
    });
  }

  private take(): Promise<boolean> {
    return this.alone(async () => {
      this.taking = undefined;
      const byStream = new Map<string, Pushed[]>();
      for (const one of this.heard.splice(0)) {
        const some = byStream.get(hex(one.stream));
        if (some) some.push(one);
        else byStream.set(hex(one.stream), [one]);
      }
      let isWhole = true;
      for (const some of byStream.values()) {
        isWhole = (await this.session.inTurn(() => takePushed(this.session, some))) && isWhole;
      }
      return isWhole;
    });
  }
}

/** Whether these very bytes lie in the outbox: sent, and not back yet. */
function isWaitedFor(session: CaseSession, { stream, record }: Pushed): boolean {
  return session.store
    .outbox(session.case)
    .some((item) => item.record && item.stream && same(item.stream, stream) && same(item.record, record));
}
