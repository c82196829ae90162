/** What all verbs of the engine share: the device, who listens, and what follows when something was written. */
import type { Case } from "../core/case";
import { EigenkringError, Misuse } from "../core/errors";
import { type CaseId, hex } from "../core/ids";
import type { Device } from "../core/library";
import { parseLink, relayAddress } from "../core/link";
import { alarmsOf } from "../core/receiving";
import { unsent } from "../core/session/attachments";
import type { Change } from "./engine";

export interface LocalOptions {
  /** The relay that served the app; where it is given, links to others are refused. */
  readonly ownRelay?: string;
  /** Something was written: send it soon. */
  readonly changed?: (change: Change) => void;
}

export class BaseEngine {
  private readonly listeners = new Set<(change: Change) => void>();
  protected online = true;

  constructor(
    readonly device: Device,
    protected readonly options: LocalOptions = {},
  ) {}

  /** The whole link. The page may talk to the relay that served it and to no other: its policy would stop it anyway. */
  protected allowed(link: string): string {
    const { ownRelay } = this.options;
    const whole =
      link.includes("://") || ownRelay === undefined ? link : `${ownRelay}/#${link.replace(/^#/, "")}`;
    const { relay } = parseLink(whole);
    if (ownRelay !== undefined && relay !== ownRelay) {
      throw new Misuse("bad_link", "this link is of another place: open it there");
    }
    return whole;
  }

  /** The relay to talk to, by default the one that served the app. */
  protected relay(given?: string): string {
    const { ownRelay } = this.options;
    const address = relayAddress(given ?? ownRelay ?? "");
    if (ownRelay !== undefined && address !== ownRelay) {
      throw new Misuse("bad_link", "this app sends to the place that served it and to no other");
    }
    return address;
  }

  // --- changes

  subscribe(callback: (change: Change) => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  /** Comes before the answer of what was done: whoever reads the answer knows already what waits. */
  protected tell(change: Change): void {
    const told = { ...change, ...this.waiting() };
    for (const listener of this.listeners) listener(told);
  }

  private waiting(): { unsent?: number } {
    try {
      return { unsent: this.unsent() };
    } catch (error) {
      // Locked meanwhile: nothing can be read here, and nothing is known.
      if (error instanceof EigenkringError) return {};
      throw error;
    }
  }

  /** How many things of this device no relay has yet; also those of cases that were not opened since it began. */
  protected unsent(): number {
    const { store } = this.device;
    return (
      store.cases().reduce((sum, row) => sum + this.unsentOf(row.case), 0) +
      // What waits for a family that lets this person read is not sent either.
      store.grants().reduce((sum, row) => sum + store.outbox(alarmsOf(row.grant)).length, 0)
    );
  }

  protected unsentOf(owner: CaseId): number {
    const { store } = this.device;
    return store.outbox(owner).length + unsent({ store, case: owner });
  }

  protected wrote(change: Change): void {
    this.tell(change);
    this.options.changed?.(change);
  }

  protected changed(one: Case, part: string | null): void {
    this.wrote({ case: hex(one.id), part });
  }

  protected async write<T>(case_: string, part: string | null, work: (one: Case) => Promise<T>): Promise<T> {
    const one = await this.device.case(case_);
    return this.noticing({ case: hex(one.id), part }, () => work(one));
  }

  /** Does something that writes, and tells. */
  protected async noticing<T>(change: Change, work: () => Promise<T>): Promise<T> {
    try {
      // Most is written without the relay: that it went well says nothing about the connection.
      return await work();
    } catch (error) {
      if (error instanceof EigenkringError && error.code === "offline") this.online = false;
      throw error;
    } finally {
      this.wrote(change);
    }
  }
}
