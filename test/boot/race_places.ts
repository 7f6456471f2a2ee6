/** Where the race test's parts meet on the machine under test. Only names; it touches nothing. */
export const DATA = "/var/rayos";
/** What root's parts tell each other. */
export const RACE = "/run/rayos/race";
/** What the root attacker shall do: `root <vm> <slot> <start> <ms of a launch>`, `rest` or `end`. */
export const ORDER = `${RACE}/order`;
/** What it does, once nothing of what it did before is left. */
export const DOING = `${RACE}/doing`;
/** How many swaps there were; how often a foreign file had another owner or mode afterwards. */
export const SWAPS = `${RACE}/swaps`;
export const ALTERED = `${RACE}/altered`;
/** The last line of the attacker with the guest's uid. */
export const TRIED = `${RACE}/tried`;
/** A file of the host's that no guest may reach, and the uid of the guest `other`. */
export const SECRET = `${DATA}/boot/secret.img`;
export const FOREIGN_UID = 61002;
/** Anybody who is given a foreign file by name can open it: only the checks stand in between. */
export const FOREIGN_MODE = 0o666;
/** Of so many starts one is attacked at any time, the others right after the check of their files. */
export const AIMED = 3;
/** The guest that is attacked, and the twin whose walls are taken away: name, slot. */
export const GUARDED = ["race", "00"] as const;
export const TWIN = ["twin", "01"] as const;
export const GUEST_FILES = ["rootfs.ext4", "vmlinuz", "initrd.img"] as const;
