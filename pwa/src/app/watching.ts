/**
 * News as they come, while somebody looks at the screen: one connection for each case and each view (core/live). Where there
 * is none, or not for all, the host asks as often as it did before.
 */
import { hex, type StreamId, same } from "../core/ids";
import type { Device } from "../core/library";
import { Live } from "../core/live";
import { alarmsOf, heardBy } from "../core/receiving";
import { heardIn } from "../core/session/taking";
import { heardAtDoor } from "../core/visiting";

/** A device follows a case by its id, a view by its grant's. */
export interface Watched {
  readonly kind: "case" | "view";
  readonly id: string;
}

export class Watching {
  private readonly lives = new Map<string, Live>();
  private ended = false;

  constructor(
    private readonly device: Device,
    private readonly ring: (what: Watched) => void,
  ) {}

  /** Whether all that may bring news is heard. */
  get isWhole(): boolean {
    return [...this.lives.values()].every((live) => live.isHearing);
  }

  /** After a sync: what is new is followed too, what is over no more. */
  async adjust(): Promise<void> {
    // A sync that was under way when the screen was left.
    if (this.ended) return;
    const { store } = this.device;
    const wanted = new Map<string, () => Live>();
    for (const row of store.cases()) {
      if (row.state === "removed" || row.state === "closed") continue;
      const id = hex(row.case);
      wanted.set(id, () => {
        return new Live({
          relay: row.relay,
          streams: async () => {
            const now = store.case(row.case);
            if (now?.state === "waiting") return heardAtDoor(now);
            const one = this.device.opened(row.case);
            return one ? one.session.inTurn(() => heardIn(one.session)) : [];
          },
          known: (stream) => store.position(row.case, stream)?.length ?? 0,
          ring: () => this.ring({ kind: "case", id }),
        });
      });
    }
    for (const row of store.grants()) {
      if (row.status !== "waiting" && row.status !== "open") continue;
      const id = hex(row.grant);
      const owner = alarmsOf(row.grant);
      const known = (stream: StreamId): number => store.position(owner, stream)?.length ?? 0;
      wanted.set(id, () => {
        return new Live({
          relay: row.relay,
          streams: async () => {
            const now = store.grants().find(({ grant }) => same(grant, row.grant));
            return now ? heardBy(store, now) : [];
          },
          known,
          ring: () => this.ring({ kind: "view", id }),
        });
      });
    }
    for (const [id, live] of this.lives) {
      if (wanted.has(id)) continue;
      live.end();
      this.lives.delete(id);
    }
    for (const [id, make] of wanted) {
      const live = this.lives.get(id);
      if (live) await live.adjust();
      else this.lives.set(id, make());
    }
  }

  end(): void {
    this.ended = true;
    for (const live of this.lives.values()) live.end();
    this.lives.clear();
  }
}
