/**
 * What other programs give their guests and this one gives none, by the words that people know it by. A
 * document that asks for it is refused in any case, since no such key exists; the table is there to
 * say so in better words than "unknown".
 */

const NEVER_GIVEN: Readonly<Record<string, string>> = {
  "9p": "9p",
  audio: "audio",
  balloon: "a memory balloon",
  hostdev: "passthrough",
  hostdevs: "passthrough",
  passthrough: "passthrough",
  pci: "passthrough",
  sound: "audio",
  usb: "USB",
  vfio: "passthrough",
  virtio_9p: "9p",
};

/** What that word asks for, where it is something that version 0 gives to no guest. */
export function neverGiven(word: string): string | null {
  const name = word.toLowerCase().replace(/-/gu, "_");
  return Object.hasOwn(NEVER_GIVEN, name) ? NEVER_GIVEN[name] ?? null : null;
}

/** What a person is told. */
export const neverGivenExpected = (what: string) => `no ${what}: version 0 has none`;
