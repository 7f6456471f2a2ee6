/**
 * The verification key as a person keeps it: 32 bytes as text that is read out, typed and photographed
 * without doubt, with a check at its end. It is never put on the host again. Pure.
 */

import { createHash } from "node:crypto";
import { KEY_BYTES } from "./chain.ts";

/** RFC 4648 base32: no 0, 1 or 8 that could be another letter, and a QR code packs it well. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const GROUP = 5;
const CHECK_BYTES = 2;

/** In groups with dashes, e.g. `AAAAA-BBBBB-…`. */
export function keyText(key: Uint8Array): string {
  const whole = new Uint8Array(KEY_BYTES + CHECK_BYTES);
  whole.set(key);
  whole.set(checkOf(key), KEY_BYTES);
  let bits = "";
  for (const byte of whole) bits += byte.toString(2).padStart(8, "0");
  const letters = (bits.match(/.{1,5}/g) ?? []).map((five) =>
    ALPHABET[parseInt(five.padEnd(5, "0"), 2)] ?? ""
  ).join("");
  return (letters.match(new RegExp(`.{1,${GROUP}}`, "g")) ?? []).join("-");
}

/** The key in a text, whatever its case, dashes and blanks; null where it is none. */
export function readKeyText(text: string): Uint8Array | null {
  const letters = text.toUpperCase().replace(/[\s-]/g, "");
  let bits = "";
  for (const letter of letters) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return null;
    bits += value.toString(2).padStart(5, "0");
  }
  const wanted = (KEY_BYTES + CHECK_BYTES) * 8;
  if (letters.length !== Math.ceil(wanted / 5) || /1/.test(bits.slice(wanted))) return null;
  const whole = Uint8Array.from(
    bits.slice(0, wanted).match(/.{8}/g) ?? [],
    (eight) => parseInt(eight, 2),
  );
  const key = whole.slice(0, KEY_BYTES);
  const check = checkOf(key);
  return check.every((byte, n) => byte === whole[KEY_BYTES + n]) ? key : null;
}

function checkOf(key: Uint8Array): Uint8Array {
  const hash = createHash("sha256").update("rayos audit key\0").update(key).digest();
  return hash.subarray(0, CHECK_BYTES);
}
