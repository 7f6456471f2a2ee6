/**
 * What the program of test/hostile/qemu says in QEMU's place, and what must become of it; and that program
 * as one static file.
 */
import { staticProgram } from "./static_program.ts";

const FOLDER = `${import.meta.dirname ?? "."}/qemu`;

/** Where the jail has the word that says what it does next. */
export const MODE_FILE = "/usr/share/hostile-mode";

/** What it says to whoever shows its picture, and the fault that hides it. */
export const PICTURES: readonly (readonly [mode: string, code: string])[] = [
  ["vnc-version", "rfb.version"],
  ["vnc-security", "rfb.security"],
  ["vnc-refused", "rfb.refused"],
  ["vnc-early", "rfb.security"],
  ["vnc-late", "rfb.message"],
  ["vnc-size-0", "rfb.size"],
  ["vnc-size-65535", "rfb.size"],
  ["vnc-resize-0", "rfb.size"],
  ["vnc-resize-65535", "rfb.flood"],
  ["vnc-name", "rfb.name"],
  ["vnc-count", "rfb.flood"],
  ["vnc-empty", "rfb.rectangle"],
  ["vnc-wide", "rfb.rectangle"],
  ["vnc-cursor", "rfb.cursor"],
  ["vnc-encoding", "rfb.encoding"],
  ["vnc-cut-types", "rfb.closed"],
  ["vnc-cut", "rfb.closed"],
  // These take the ten seconds that a server has for what it began to say.
  ["vnc-trickle", "rfb.late"],
  ["vnc-silent", "rfb.late"],
  ["vnc-half", "rfb.late"],
];

/** What it says over QMP once its guest runs, instead of a greeting, or when it is asked who it is, and how that ends. */
export const MONITORS: readonly (readonly [mode: string, ending: string])[] = [
  ["qmp-flood", "RAYOS_VM_STATE:running:failed reason=qmp_flood"],
  ["qmp-long", "RAYOS_VM_STATE:running:failed reason=qmp_oversized"],
  ["qmp-mute", "RAYOS_VM_STATE:starting:failed reason=qmp.no_greeting"],
  ["qmp-other-uuid", "RAYOS_VM_STATE:starting:failed reason=launch.impostor"],
  ["qmp-input", "RAYOS_VM_STATE:running:failed reason=qmp_silent"],
  ["qmp-silent", "RAYOS_VM_STATE:running:failed reason=qmp_silent"],
];

/** Writes the program to `target` and gives its bytes. */
export function hostileQemu(target: string): Promise<Uint8Array> {
  return staticProgram(["qemu.c", "vnc.c"].map((name) => `${FOLDER}/${name}`), target);
}
