/**
 * A passkey (WebAuthn) that opens this device with a finger or a face: what is used of it is PRF, 32 bytes that the
 * authenticator computes from a question and gives after it has seen its person. Nothing of it goes to a server: there is
 * no account, and the challenge is signed for nobody.
 *
 * It runs on the page, the only place with `navigator.credentials`; the 32 bytes go to the worker and are forgotten here.
 */
import type { Bytes } from "../crypto/kdf";
import type { Passkey } from "./store-keys";

/** The phone lists its passkeys by name: it says no more than the name of the app. */
const NAME = "Kring";
// EdDSA, ES256, RS256: the signature is not used, so whatever the authenticator can is well.
const ALGORITHMS = [-8, -7, -257];
const PATIENCE_MS = 60_000;

const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));

/** Whether this browser has passkeys at all; whether they can do PRF only shows when one is made. */
export function hasPasskeys(): boolean {
  return "PublicKeyCredential" in globalThis && "credentials" in navigator;
}

/** Makes one. `no`: the person, or the phone, did not want to. `unable`: this phone's passkeys cannot do it. */
export async function makePasskey(): Promise<Passkey | "no" | "unable"> {
  const asked = random(32);
  let made: Credential | null;
  try {
    made = await navigator.credentials.create({
      publicKey: {
        challenge: random(32),
        rp: { name: NAME },
        user: { id: random(16), name: NAME, displayName: NAME },
        pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
        // A finger, a face or the phone's own code each time: without it whoever holds the phone would do.
        authenticatorSelection: {
          authenticatorAttachment: "platform",
          residentKey: "preferred",
          userVerification: "required",
        },
        timeout: PATIENCE_MS,
        extensions: { prf: { eval: { first: asked } } },
      },
    });
  } catch {
    return "no";
  }
  if (!(made instanceof PublicKeyCredential)) return "unable";
  const { prf } = made.getClientExtensionResults();
  if (!prf?.enabled) return "unable";
  const credential = new Uint8Array(made.rawId);
  // Some give the answer only when they are asked the second time.
  const first = prf.results?.first;
  const secret = first ? bytesOf(first) : await askPasskey({ credential, asked });
  return secret ? { credential, asked, secret } : "no";
}

/** Asks for the finger. Null: it was not given, or it was another one. */
export async function askPasskey(about: {
  credential: Uint8Array;
  asked: Uint8Array;
}): Promise<Bytes | null> {
  try {
    const found = await navigator.credentials.get({
      publicKey: {
        challenge: random(32),
        allowCredentials: [{ type: "public-key", id: new Uint8Array(about.credential) }],
        userVerification: "required",
        timeout: PATIENCE_MS,
        extensions: { prf: { eval: { first: new Uint8Array(about.asked) } } },
      },
    });
    if (!(found instanceof PublicKeyCredential)) return null;
    const first = found.getClientExtensionResults().prf?.results?.first;
    return first ? bytesOf(first) : null;
  } catch {
    return null;
  }
}

function bytesOf(source: BufferSource): Bytes {
  return source instanceof ArrayBuffer
    ? new Uint8Array(source)
    : new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
}
