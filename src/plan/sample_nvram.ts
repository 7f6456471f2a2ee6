/**
 * A store of UEFI variables for tests: the two headers as OVMF writes them, without a variable. Never part
 * of the program.
 */

export const SAMPLE_NVRAM_BYTES = 0x84000;

/** The volume's header, whose checksum is right, and the store's. */
const HEADERS = `
  00000000000000000000000000000000 8d2bf1ff96768b4ca9852747075b4f50 0040080000000000 5f465648
  fffe0400 4800 afb8 0000 00 02 84000000 00100000 0000000000000000
  782cf3aa7b949a43a1802e144ec37792 b8ff0300 5a fe 0000 00000000`;

export function sampleNvram(): Uint8Array {
  const bytes = new Uint8Array(SAMPLE_NVRAM_BYTES).fill(0xff);
  const pairs = HEADERS.replace(/\s+/g, "").match(/../g) ?? [];
  bytes.set(pairs.map((pair) => Number.parseInt(pair, 16)));
  return bytes;
}
