/**
 * A table of keys for the kernel's own console that gives no key a meaning: nobody reads what is typed on
 * the host's keyboard but the program. In the form that busybox's loadkmap reads: a word, which of the 256
 * tables follow, and each of those as 128 numbers.
 *
 * Sources: busybox 1.35, console-tools/loadkmap.c; keymaps(5); include/uapi/linux/keyboard.h.
 */

const TABLES = 256;
const KEYS = 128;
/** Plain, shift, AltGr, ctrl, shift and ctrl, alt, ctrl and alt: those that the kernel begins with. */
const KERNEL_TABLES: readonly number[] = [0, 1, 2, 4, 5, 8, 12];
/** K_HOLE, called VoidSymbol. */
const NOTHING = 0x0200;

/** @param meaning what the plain table gives a key, by its code; left out: nothing */
export function voidKeymap(meaning: Readonly<Record<number, number>> = {}): Uint8Array {
  const word = new TextEncoder().encode("bkeymap");
  const out = new Uint8Array(word.length + TABLES + KERNEL_TABLES.length * KEYS * 2);
  out.set(word);
  for (const table of KERNEL_TABLES) out[word.length + table] = 1;
  const view = new DataView(out.buffer, word.length + TABLES);
  for (const [n, table] of KERNEL_TABLES.entries()) {
    for (let key = 0; key < KEYS; key++) {
      const value = table === 0 ? meaning[key] ?? NOTHING : NOTHING;
      view.setUint16((n * KEYS + key) * 2, value, true);
    }
  }
  return out;
}
