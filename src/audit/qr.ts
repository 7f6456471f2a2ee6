/** A text as a QR code for a terminal (ISO/IEC 18004). Loaded only where one is shown. */

import encodeQR from "qr";

/** Modules of white around it: the standard's four. */
const QUIET = 4;

/** Two rows of modules a line, white on whatever the terminal's ground is. */
export function drawQr(text: string): string {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: QUIET });
  const lines: string[] = [];
  for (let y = 0; y < rows.length; y += 2) {
    const upper = rows[y] ?? [];
    const lower = rows[y + 1] ?? upper.map(() => true);
    // A dark module is the ground, a white one is drawn.
    lines.push(
      upper.map((dark, x) => {
        const below = lower[x] === true;
        return dark ? below ? " " : "▄" : below ? "▀" : "█";
      }).join(""),
    );
  }
  return lines.join("\n");
}
