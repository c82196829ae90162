/** The keys of one device in one case (docs/spec/seal.md, Keys grown from a seed). */
import { BoxKey } from "./box";
import { BadKey } from "./errors";
import { derive, SECRET_BYTES } from "./kdf";
import { SigningKey } from "./sign";

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
    const sign = await SigningKey.fromSeed(derive(seed, "device sign"));
    return new DeviceKeys(sign, await BoxKey.fromSeed(derive(seed, "device kem")));
  }
}
