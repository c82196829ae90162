/** The rehearsal's lock: only to look at screens (rehearsal.ts). */
import type { Lock, LockState } from "./engine";
import { Failure } from "./engine";
import type { Loss } from "./mending-rows";
import { FIRST, type Profile } from "./profiles";

export class RehearsalLock implements Lock {
  #pin: string | null = null;
  #locked = false;
  #minutes = 5;
  #passkey: { credential: Uint8Array; asked: Uint8Array } | null = null;
  #profiles: Profile[] = [FIRST];

  /** As a phone that two people share, one of whom comes back to it. */
  protected shut(): void {
    this.#pin = "246810";
    this.#locked = true;
    this.#passkey = { credential: new Uint8Array(16), asked: new Uint8Array(32) };
    this.#profiles = [FIRST, "sun"];
  }

  protected isTorn = false;
  protected lost: Loss[] = [];

  async losses(): Promise<Loss[]> {
    return this.lost;
  }
  async dismissLosses(): Promise<void> {
    this.lost = [];
  }

  async lockState(): Promise<LockState> {
    if (this.isTorn) return "torn";
    return this.#pin === null ? "open" : this.#locked ? "locked" : "unlocked";
  }
  async lock(): Promise<void> {
    this.#locked = this.#pin !== null;
  }
  async unlock(pin: string): Promise<void> {
    if (pin !== this.#pin) throw new Failure("bad_code");
    this.#locked = false;
  }
  async setPin(pin: string | null): Promise<void> {
    this.#pin = pin;
    this.#passkey = null;
  }
  async autoLockMinutes(): Promise<number> {
    return this.#minutes;
  }
  async setAutoLockMinutes(minutes: number): Promise<void> {
    this.#minutes = minutes;
  }
  async passkey(): Promise<{ credential: Uint8Array; asked: Uint8Array } | null> {
    return this.#passkey;
  }
  async addPasskey(
    pin: string,
    { credential, asked }: { credential: Uint8Array; asked: Uint8Array; secret: Uint8Array },
  ): Promise<void> {
    if (pin !== this.#pin) throw new Failure("bad_code");
    this.#passkey = { credential, asked };
  }
  async removePasskey(): Promise<void> {
    this.#passkey = null;
  }
  async unlockWithPasskey(_secret: Uint8Array): Promise<void> {
    this.#locked = false;
  }
  async profiles(): Promise<Profile[]> {
    return this.#profiles;
  }
  async addProfile(): Promise<Profile> {
    this.#profiles = [FIRST, "sun"];
    return "sun";
  }
  async layBack(): Promise<void> {}
  async wipe(): Promise<void> {
    this.#pin = null;
    this.#locked = false;
  }
}
