/**
 * The recovery passphrase: its hash as the policy carries it (`recovery.passphrase`), made and compared.
 * It keeps no passphrase and shows no hash.
 *
 * `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<hash>`, base64 without padding: the PHC string format for scrypt
 * (RFC 7914).
 */
import { Buffer } from "node:buffer";
import { scrypt, timingSafeEqual } from "node:crypto";

const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{43,86})$/;
/** What a comparison may take of the host's memory (RFC 7914: 128 * N * r bytes) and time (times p). */
const MOST_MEMORY_BYTES = 256 * 1024 * 1024;
const MOST_PASSES = 8;
/** What a new hash costs: 64 MiB, some tenths of a second on a small machine. */
const NEW_COST = { logN: 16, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** In UTF-8. */
export const PASSPHRASE_MAX = 1023;

interface Cost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Whether the host would compare anything with that hash at all: its cost has to stay bounded. */
export function isAffordable(hash: string): boolean {
  const parsed = read(hash);
  return parsed !== null && affordable(parsed.cost);
}

/** Whether the passphrase is the one of the hash. A hash that costs too much is nobody's. */
export async function isPassphrase(passphrase: Uint8Array, hash: string): Promise<boolean> {
  const parsed = read(hash);
  if (parsed === null || !affordable(parsed.cost)) return false;
  if (passphrase.length === 0 || passphrase.length > PASSPHRASE_MAX) return false;
  const { cost, salt, wanted } = parsed;
  return timingSafeEqual(await derive(passphrase, salt, cost, wanted.length), wanted);
}

/**
 * The hash of a new passphrase, as it goes into a policy.
 *
 * @param random fills that many bytes from a cryptographic source
 */
export async function hashPassphrase(
  passphrase: Uint8Array,
  random: (bytes: number) => Uint8Array,
  cost: Cost = NEW_COST,
): Promise<string> {
  const salt = Buffer.from(random(SALT_BYTES));
  const hash = await derive(passphrase, salt, cost, HASH_BYTES);
  const text = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${text(salt)}$${text(hash)}`;
}

function read(hash: string): { cost: Cost; salt: Buffer; wanted: Buffer } | null {
  const [, logN, r, p, salt = "", wanted = ""] = FORM.exec(hash) ?? [];
  if (logN === undefined) return null;
  return {
    cost: { logN: Number(logN), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, "base64"),
    wanted: Buffer.from(wanted, "base64"),
  };
}

function affordable({ logN, r, p }: Cost): boolean {
  return memoryOf({ logN, r, p }) <= MOST_MEMORY_BYTES && p <= MOST_PASSES && r > 0 && p > 0;
}

function memoryOf({ logN, r }: Cost): number {
  return 128 * 2 ** logN * r;
}

function derive(passphrase: Uint8Array, salt: Buffer, cost: Cost, length: number): Promise<Buffer> {
  const { logN, r, p } = cost;
  // A little more than scrypt itself needs.
  const maxmem = memoryOf(cost) + 1024 * 1024 * (p + 1);
  return new Promise((resolve, reject) =>
    scrypt(passphrase, salt, length, { N: 2 ** logN, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    })
  );
}
