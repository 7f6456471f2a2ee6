/**
 * One record of the kernel's log as /dev/kmsg gives it
 * (Documentation/ABI/testing/dev-kmsg of the kernel): `<priority>,<seq>,<µs>,<flags>[,…];<text>\n`, then lines
 * that begin with a blank. Pure; the text is data and decides nothing.
 */

export interface KernelMessage {
  /** 0 (emergency) to 7 (debug), syslog(2). */
  readonly priority: number;
  readonly seq: number;
  /** Microseconds since the kernel started. */
  readonly us: number;
  readonly text: string;
}

const RECORD = /^(\d{1,5}),(\d{1,19}),(\d{1,19}),[^;]*;([^\n]*)/;

/** The record, or null where the text is none. */
export function parseKernelMessage(record: string): KernelMessage | null {
  const match = RECORD.exec(record);
  if (match === null) return null;
  return {
    // The upper bits say who wrote it.
    priority: Number(match[1]) & 7,
    seq: Number(match[2]),
    us: Number(match[3]),
    text: unescapeKernel(match[4] ?? ""),
  };
}

/** The kernel writes what is not printable as `\xNN`; it is shown by our one rule instead. */
function unescapeKernel(text: string): string {
  return text.replace(
    /\\x([0-9a-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
}
