/**
 * News as they come, while somebody looks at the screen: one connection for each case and each view (core/live). What is
 * written in a part comes and goes by itself there; for all else, and where there is doubt, the host syncs. Where there is no
 * connection, or not for all, the host asks as often as it did before.
 */
import { EigenkringError } from "../core/errors";
import { type CaseId, hex, type RecordBytes, type StreamId, same } from "../core/ids";
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

/** Whom to tell. */
export interface Told {
  /** Something came that a sync must look at. */
  readonly ring: (what: Watched) => void;
  /** What others wrote is here and can be shown. */
  readonly show?: (caseId: string) => void;
}

/** After so long without a word: what else there is to do for the others, a view to bring up to date, a part to keep. */
const SETTLE_AFTER_MS = 2_000;
const BUSY_MS = 200;

export class Watching {
  private readonly lives = new Map<string, Live>();
  private readonly takings = new Map<string, Promise<boolean>>();
  private readonly settling = new Map<string, ReturnType<typeof setTimeout>>();
  /** Cases of which something that came is not taken in yet. */
  private readonly busy = new Map<string, number>();
  private ended = false;

  constructor(
    private readonly device: Device,
    private readonly told: Told,
  ) {}

  /** Whether all that may bring news is heard. */
  get isWhole(): boolean {
    return [...this.lives.values()].every((live) => live.isHearing);
  }

  /** Whether what is written there can go out at once. */
  isUp(caseId: string): boolean {
    return this.lives.get(caseId)?.isUp === true;
  }

  /** Sends what waits in one case, at once. Gives false where a sync must do it. */
  async send(caseId: string): Promise<boolean> {
    const live = this.lives.get(caseId);
    const row = this.device.store.cases().find((one) => hex(one.case) === caseId);
    const one = row && this.device.opened(row.case);
    if (!live?.isUp || !one) return false;
    try {
      if (!(await one.send(live))) return false;
      this.settle(caseId);
      return true;
    } catch (error) {
      // Whatever it was, a sync goes another way and says what it is.
      if (error instanceof EigenkringError) return false;
      throw error;
    }
  }

  /** The network is gone, says the phone: a line that still looks open would keep what is written. `adjust` begins anew. */
  lose(): void {
    for (const live of this.lives.values()) live.end();
    this.lives.clear();
  }

  private take(caseId: CaseId, stream: StreamId, index: number, record: RecordBytes): void {
    const id = hex(caseId);
    const taken = this.device.opened(caseId)?.hear({ stream, index, record }) ?? Promise.resolve(false);
    // What comes together is told of once.
    if (this.takings.get(id) === taken) return;
    this.takings.set(id, taken);
    this.busy.set(id, (this.busy.get(id) ?? 0) + 1);
    void taken
      .catch(() => false)
      .then((isWhole) => {
        this.busy.set(id, (this.busy.get(id) ?? 1) - 1);
        if (this.ended) return;
        if (isWhole) {
          this.told.show?.(id);
          this.settle(id);
        } else this.lives.get(id)?.ringSoon();
      });
  }

  private settle(caseId: string): void {
    if (this.ended) return;
    clearTimeout(this.settling.get(caseId));
    const due = Date.now() + SETTLE_AFTER_MS;
    const waiting = this.waiting(caseId);
    const settled = (): void => {
      // Who was so busy that the clock rings late has words unread, or still to send: that was no rest. Nor was it where a long
      // record is still being taken in, or words were written or came back meanwhile: a sync there reads and keeps all of a part.
      const isBusy = Date.now() - due > BUSY_MS || (this.busy.get(caseId) ?? 0) > 0;
      if (isBusy || this.waiting(caseId) !== waiting) this.settle(caseId);
      else this.told.ring({ kind: "case", id: caseId });
    };
    this.settling.set(caseId, setTimeout(settled, SETTLE_AFTER_MS));
  }

  /** Which words wait to be sent or to come back: what stays the same for two seconds is stuck, and a sync looks after it. */
  private waiting(caseId: string): string {
    const row = this.device.store.cases().find((one) => hex(one.case) === caseId);
    const waits = row ? this.device.store.outbox(row.case) : [];
    return `${waits.length} ${waits.at(-1)?.number}`;
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
          record: (stream, index, record) => this.take(row.case, stream, index, record),
          ring: () => this.told.ring({ kind: "case", id }),
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
          ring: () => this.told.ring({ kind: "view", id }),
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
    for (const timer of this.settling.values()) clearTimeout(timer);
    for (const live of this.lives.values()) live.end();
    this.lives.clear();
  }
}
