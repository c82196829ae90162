/**
 * Errors of the suite. Each leaf has a `code` that is part of the protocol and never changes (docs/spec/seal.md).
 * Messages name what was checked, never a key, a plaintext or a secret: errors end up in logs and bug reports.
 */

/** The root of all errors that input from others can cause. Compare `code`: it is stable. */
export class CryptoError extends Error {
  readonly code: string = "crypto_error";

  constructor(message = "") {
    super(message);
    this.name = new.target.name;
  }
}

/** A record or box does not open. Wrong key, stream, epoch, context or bytes: one error, so nobody learns which. */
export class Unopenable extends CryptoError {
  override readonly code = "unopenable";
}

/** What opened is not padded exactly as `pad` pads: free bytes would be a hidden channel. */
export class BadPadding extends CryptoError {
  override readonly code = "bad_padding";
}

/** A signature does not hold for this key, name, stream and body. */
export class BadSignature extends CryptoError {
  override readonly code = "bad_signature";
}

/** A key, seed or secret has a wrong size, or is not a key anyone could own. */
export class BadKey extends CryptoError {
  override readonly code = "bad_key";
}

/** A recovery code was mistyped: an unknown symbol, a wrong length, or a checksum that does not fit. */
export class BadCode extends CryptoError {
  override readonly code = "bad_code";
}

/** The first byte names a version this program does not know. The record is set aside, never dropped. */
export class FutureVersion extends CryptoError {
  override readonly code = "future_version";
}
