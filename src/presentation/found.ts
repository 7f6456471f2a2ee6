/**
 * Keyboards and pointers that are plugged in, as the launcher `keyboard` lists them: which of them are read,
 * and which came later and wait for somebody to accept them. Pure. Their names are their own words.
 */

/** One device. */
export interface FoundDevice {
  /** The kernel's name for it, e.g. `event3`. */
  readonly event: string;
  /** Its number as `<major>:<minor>`; the kernel gives it to another one once this is gone. */
  readonly dev: string;
  /** What it calls itself, in base64 as the launcher compares it; `-` where it has no name. */
  readonly name64: string;
  /** The node under which it is read; null: nobody has accepted it. */
  readonly node: number | null;
}

const WORD = /^(event\d{1,4}),(\d+:\d+),(-|[A-Za-z0-9+/]+=*),(-|[0-7])$/;

/** The devices that the launcher's words name; null where a word is none. */
export function foundDevices(words: readonly string[]): FoundDevice[] | null {
  const found: FoundDevice[] = [];
  for (const word of words) {
    const [, event, dev, name64, node] = word.match(WORD) ?? [];
    if (event === undefined || dev === undefined || name64 === undefined) return null;
    found.push({ event, dev, name64, node: node === "-" ? null : Number(node) });
  }
  return found;
}

/** A device's name for a person: whatever it says, as text. */
export function nameOf({ name64 }: FoundDevice): string {
  if (name64 === "-") return "";
  try {
    const bytes = Uint8Array.from(atob(name64), (one) => one.charCodeAt(0));
    return new TextDecoder().decode(bytes).trimEnd();
  } catch {
    return "";
  }
}
