/** The keys of one device in one case (docs/spec/seal.md, Keys grown from a seed). */
import { BoxKey } from "./box";
import { BadKey } from "./errors";
import { derive, SECRET_BYTES } from "./kdf";
import { SigningKey } from "./sign";

const signOf = (seed: Uint8Array): Promise<SigningKey> => SigningKey.fromSeed(derive(seed, "device sign"));
const boxOf = (seed: Uint8Array): Promise<BoxKey> => BoxKey.fromSeed(derive(seed, "device kem"));

/**
 * `sign`, a SigningKey, and `box`, a BoxKey, both grown from one 32-byte seed. A seed of its own per case, so that
 * nobody can tell that two cases have one phone.
 */
export class DeviceKeys {
  private constructor(
    readonly sign: SigningKey,
    readonly box: BoxKey,
  ) {}

  /** Grows both keys. BadKey unless the seed is 32 bytes. */
  static async fromSeed(seed: Uint8Array): Promise<DeviceKeys> {
    if (seed.length !== SECRET_BYTES) throw new BadKey("a device seed is 32 bytes");
    return new DeviceKeys(await signOf(seed), await boxOf(seed));
  }
}

/**
 * The same keys, but `box` grows when the first box is to be opened: a session signs every day and seldom opens a box,
 * and to grow an ML-KEM key takes a slow phone a tenth of a second.
 */
export class SessionKeys {
  readonly #seed: Uint8Array;
  #box: Promise<BoxKey> | undefined;

  private constructor(
    seed: Uint8Array,
    readonly sign: SigningKey,
  ) {
    this.#seed = seed;
  }

  /** Grows `sign`. BadKey unless the seed is 32 bytes. */
  static async fromSeed(seed: Uint8Array): Promise<SessionKeys> {
    if (seed.length !== SECRET_BYTES) throw new BadKey("a device seed is 32 bytes");
    return new SessionKeys(seed.slice(), await signOf(seed));
  }

  /** Grown once. */
  box(): Promise<BoxKey> {
    this.#box ??= boxOf(this.#seed);
    return this.#box;
  }
}
