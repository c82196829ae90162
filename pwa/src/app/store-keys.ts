/**
 * The keys that the device's store is encrypted with, and the lock in front of them.
 *
 * What this is worth, honestly. Without a PIN the keys lie beside the data as CryptoKeys that no script can read back: a
 * script that got in for a moment cannot carry them away, but whoever copies the browser's profile from the disk has
 * both. With a PIN the key is not on the device at all, only a wrapping of it; still, a PIN of six digits has a million
 * values, and one try costs about half a second and 64 MiB: someone with the copied profile and a strong computer needs
 * days, not years. A long passphrase is a wall, a short PIN a fence. Neither helps against whoever holds the phone
 * unlocked, nor against a page that was swapped by whoever serves it.
 *
 * A passkey stands beside the PIN and opens the same secret: its 32 bytes (WebAuthn's PRF) cannot be guessed, but they are
 * as safe as the phone's own fingerprint, face or code, and as the account that carries passkeys to other devices. So the
 * lock as a whole is as strong as the weaker of the two; the PIN stays, for the day on which the finger is not known.
 */
import { argon2id } from "hash-wasm";
import { Refused } from "../core/errors";
import { decode, encode, type Packable } from "../core/packed";
import { BadCode } from "../crypto/errors";
import { type Bytes, concat, derive } from "../crypto/kdf";

/** One key hides what a row holds, the other what it is called. */
export interface StoreKeys {
  readonly seal: CryptoKey;
  readonly name: CryptoKey;
}

/** What lies on the device when a PIN is set. Structured clone keeps a CryptoKey without showing it. */
export interface PinLock {
  readonly salt: Bytes;
  readonly iv: Bytes;
  readonly wrapped: Bytes;
  /** Goes into the wrapping, so that the wrapping alone, out of this browser, cannot be guessed at. */
  readonly bound: CryptoKey;
  readonly tries: number;
  /** Milliseconds since 1970: before it no PIN is looked at. */
  readonly wait: number;
}

/** Another way to the secret behind the same PIN. `secret` of a `Passkey` lies nowhere: the device gives it to a finger. */
export interface PasskeyLock {
  /** The authenticator's name of it. */
  readonly credential: Bytes;
  /** What the authenticator is asked with, 32 bytes. */
  readonly asked: Bytes;
  readonly iv: Bytes;
  readonly wrapped: Bytes;
  readonly bound: CryptoKey;
}
export interface Passkey {
  readonly credential: Bytes;
  readonly asked: Bytes;
  /** What it answered, 32 bytes. */
  readonly secret: Bytes;
}

const MEMORY_KIB = 65_536;
const PASSES = 3;
const FREE_TRIES = 5;
const MOST_WAIT_SECONDS = 900;

const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));

/** Fresh keys that nobody can read back. */
export async function freshKeys(): Promise<StoreKeys> {
  const secret = random(32);
  const keys = await keysOf(secret);
  secret.fill(0);
  return keys;
}

/** Whether it is what `freshKeys` gave, and not what became of it on a disk. */
export function isKeys(given: unknown): given is StoreKeys {
  const { seal, name } = (given ?? {}) as Partial<StoreKeys>;
  return seal instanceof CryptoKey && name instanceof CryptoKey;
}

/** Fresh keys behind a PIN, and what of them may lie on the device. */
export async function lockedKeys(pin: string): Promise<{ keys: StoreKeys; lock: PinLock }> {
  const secret = random(32);
  const salt = random(16);
  const bound = await bindingKey();
  const { iv, wrapped } = await wrap(await pinKey(pin, salt, bound), secret);
  const keys = await keysOf(secret);
  secret.fill(0);
  return { keys, lock: { salt, iv, wrapped, bound, tries: 0, wait: 0 } };
}

/** How a PIN was answered: the lock as it is afterwards, and the secret of 32 bytes where it was right. */
interface Tried {
  readonly lock: PinLock;
  readonly secret: Bytes | undefined;
}

/** Tries a PIN. Throws Refused("slow_down") while it waits. */
async function tryPin(lock: PinLock, pin: string, now: number): Promise<Tried> {
  // Against whoever tries PINs on the screen of a phone that lay about; whoever copied the files does not wait.
  if (now < lock.wait) throw new Refused("slow_down", "too many wrong tries; wait a little");
  const secret = await unwrap(await pinKey(pin, lock.salt, lock.bound), lock);
  if (secret) return { lock: { ...lock, tries: 0, wait: 0 }, secret };
  const tries = lock.tries + 1;
  const seconds = tries < FREE_TRIES ? 0 : Math.min(2 ** (tries - FREE_TRIES) * 15, MOST_WAIT_SECONDS);
  return { lock: { ...lock, tries, wait: now + 1000 * seconds }, secret: undefined };
}

/** Opens the lock, or says how it is afterwards. Throws Refused("slow_down") while it waits. */
export async function openLock(
  lock: PinLock,
  pin: string,
  now: number,
): Promise<{ keys: StoreKeys | undefined; lock: PinLock }> {
  const { secret, lock: after } = await tryPin(lock, pin, now);
  const keys = secret && (await keysOf(secret));
  secret?.fill(0);
  return { keys, lock: after };
}

/**
 * Lays a passkey beside the PIN. The PIN is asked for it: whoever snatches an unlocked phone must not put a finger of
 * their own on it. Throws Refused("slow_down") while it waits.
 */
export async function withPasskey(
  lock: PinLock,
  pin: string,
  now: number,
  { credential, asked, secret: answered }: Passkey,
): Promise<{ passkey: PasskeyLock | undefined; lock: PinLock }> {
  const { secret, lock: after } = await tryPin(lock, pin, now);
  if (!secret) return { passkey: undefined, lock: after };
  const bound = await bindingKey();
  const { iv, wrapped } = await wrap(await passkeyKey(answered, asked, bound), secret);
  secret.fill(0);
  return { passkey: { credential, asked, iv, wrapped, bound }, lock: after };
}

/** Undefined where it is another passkey's answer. */
export async function openWithPasskey(lock: PasskeyLock, answered: Bytes): Promise<StoreKeys | undefined> {
  const secret = await unwrap(await passkeyKey(answered, lock.asked, lock.bound), lock);
  const keys = secret && (await keysOf(secret));
  secret?.fill(0);
  return keys;
}

export function wrongPin(): BadCode {
  return new BadCode("that is not the PIN");
}

interface Wrapped {
  readonly iv: Bytes;
  readonly wrapped: Bytes;
}

async function wrap(key: CryptoKey, secret: Bytes): Promise<Wrapped> {
  const iv = random(12);
  return { iv, wrapped: new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, secret)) };
}

async function unwrap(key: CryptoKey, { iv, wrapped }: Wrapped): Promise<Bytes | undefined> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, wrapped));
  } catch {
    return undefined;
  }
}

/** Goes into each wrapping, so that it cannot be guessed at outside this browser. */
function bindingKey(): Promise<CryptoKey> {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", random(32), hmac, false, ["sign"]);
}

async function pinKey(pin: string, salt: Bytes, bound: CryptoKey): Promise<CryptoKey> {
  const stretched = await argon2id({
    password: pin.normalize("NFC"),
    salt,
    iterations: PASSES,
    parallelism: 1,
    memorySize: MEMORY_KIB,
    hashLength: 32,
    outputType: "binary",
  });
  return boundKey(stretched, salt, bound, "store pin");
}

function passkeyKey(answered: Bytes, asked: Bytes, bound: CryptoKey): Promise<CryptoKey> {
  return boundKey(answered, asked, bound, "store passkey");
}

async function boundKey(
  secret: Uint8Array,
  salt: Bytes,
  bound: CryptoKey,
  label: string,
): Promise<CryptoKey> {
  const here = new Uint8Array(await crypto.subtle.sign("HMAC", bound, salt));
  return aesKey(derive(concat(secret, here), label));
}

async function keysOf(secret: Bytes): Promise<StoreKeys> {
  const named = derive(secret, "store name");
  return {
    seal: await aesKey(derive(secret, "store seal")),
    name: await crypto.subtle.importKey("raw", named, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]),
  };
}

function aesKey(bytes: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** What a row is called on the disk: the same each time, and nothing to read. */
export async function sealedName(keys: StoreKeys, place: readonly string[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", keys.name, new Uint8Array(encode(place))));
}

/** Before each row lies what it was sealed with. */
export const IV_BYTES = 12;

/** A row as it lies on the disk; bound to its name, so that no row can be laid in the place of another. */
export async function sealRow(keys: StoreKeys, name: Bytes, row: Packable): Promise<Bytes> {
  const iv = random(IV_BYTES);
  const gcm = { name: "AES-GCM", iv, additionalData: name };
  const sealed = await crypto.subtle.encrypt(gcm, keys.seal, new Uint8Array(encode(row)));
  return concat(iv, new Uint8Array(sealed));
}

export async function openRow(keys: StoreKeys, name: Bytes, sealed: Bytes): Promise<unknown> {
  const gcm = { name: "AES-GCM", iv: sealed.slice(0, IV_BYTES), additionalData: name };
  return decode(new Uint8Array(await crypto.subtle.decrypt(gcm, keys.seal, sealed.slice(IV_BYTES))));
}

/**
 * What a damaged row may have held, for whoever can check it otherwise: the tag says nothing any more. GCM is a stream of
 * bytes over the row, which sealing nothing but zeros shows; what it seals besides goes nowhere.
 */
export async function openUnchecked(keys: StoreKeys, sealed: Bytes): Promise<Uint8Array> {
  const hidden = sealed.subarray(IV_BYTES);
  const gcm = { name: "AES-GCM", iv: sealed.slice(0, IV_BYTES) };
  const over = new Uint8Array(await crypto.subtle.encrypt(gcm, keys.seal, new Uint8Array(hidden.length)));
  return hidden.map((byte, at) => byte ^ (over[at] as number));
}
