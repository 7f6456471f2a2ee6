/** The one hash by which files and texts are named (FIPS 180-4). */

import { createHash } from "node:crypto";

/** SHA-256 in hexadecimal. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
