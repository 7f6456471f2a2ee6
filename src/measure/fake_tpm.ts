/** A TPM for tests: as much of one as knows its PCRs of SHA-256, by the bytes of the specification. */

import { createHash } from "node:crypto";

const bytes = (hex: string) => Uint8Array.fromHex(hex);

/** TPM2_PCR_Extend: header; PCR; size of what authorizes; password session, empty; one digest of SHA-256. */
const EXTEND = /^80020000004100000182000000(..)0000000940000009000000000000000001000b(.{64})$/u;
/** TPM2_PCR_Read: header; one selection of the bank of SHA-256; three bytes of PCRs. */
const READ = /^8001000000140000017e00000001000b03(.{6})$/u;

export class FakeTpm {
  readonly #pcrs = new Map<number, Uint8Array>();
  /** The code with which it answers from now on; null: it does what it is asked. */
  refuses: string | null = null;

  value(pcr: number): Uint8Array {
    return this.#pcrs.get(pcr) ?? new Uint8Array(32);
  }

  extend(pcr: number, digest: Uint8Array): void {
    const next = createHash("sha256").update(this.value(pcr)).update(digest).digest();
    this.#pcrs.set(pcr, Uint8Array.from(next));
  }

  readonly answer = (message: Uint8Array): Uint8Array => {
    if (this.refuses !== null) return bytes(`80010000000a${this.refuses}`);
    const hex = message.toHex();
    const [, pcr, digest] = EXTEND.exec(hex) ?? [];
    if (pcr !== undefined && digest !== undefined) {
      this.extend(Number.parseInt(pcr, 16), bytes(digest));
      return bytes("80020000001300000000000000000000010000");
    }
    const [, asked] = READ.exec(hex) ?? [];
    if (asked === undefined) return bytes("80010000000a00000143");
    const [low = 0, middle = 0, high = 0] = bytes(asked);
    const read = this.value(Math.log2(low | middle << 8 | high << 16)).toHex();
    return bytes(`80010000003e000000000000001400000001000b03${asked}000000010020${read}`);
  };
}
