/**
 * The page of ways out that a hostile program tries from QEMU's place: its rows, the walls that stop
 * each, and what its twins get. It only renders what test/boot/escape_test.ts measures: that test fails
 * where a real boot answers otherwise in any of these cells.
 */
import {
  ALL_WALLS,
  ALWAYS,
  answerIn,
  jails,
  type Row,
  ROWS,
  rowsIn,
  WALLS,
} from "../test/hostile/escape_rows.ts";

const wallNames = (walls: readonly string[]) => walls.map((wall) => `\`${wall}\``).join(" with ");

function rowLine(row: Row): string {
  const alone = row.walls.map(([answer, ...walls]) => `${wallNames(walls)} ${answer}`);
  const base = row.walls.flat().some((wall) => (ALWAYS as readonly string[]).includes(wall))
    ? []
    : ALWAYS;
  const cells = [
    `\`${row.name}\`${row.full ? " (full)" : ""}`,
    row.tries,
    answerIn(row, new Set(ALL_WALLS)),
    alone.join("; "),
    answerIn(row, new Set(base)) === "ok" ? "out" : answerIn(row, new Set(base)),
  ];
  return `| ${cells.join(" | ")} |`;
}

export function renderEscape(): string {
  const usual = jails(false);
  const starts = usual.reduce((sum, jail) => sum + rowsIn(jail).length, 0);
  const walls = ALL_WALLS.map((wall) => `| \`${wall}\` | ${WALLS[wall][0]} | ${WALLS[wall][1]} |`);
  const [first = ""] = ALWAYS.map((wall) => `\`${wall}\``);
  return [
    "# Ways out of a guest's jail",
    "",
    "Made by `tools/reference.ts` from `test/hostile/escape_rows.ts`. `test/boot/escape_test.ts` boots the image,",
    "lets the real program start a real guest, and starts a static program (`test/hostile/escape/`, C) in the",
    "place of a second guest's QEMU: by the launcher as it is in the image, with a plan as the program writes",
    "it, the same uid, cgroup and filter. The program knows what a guest could hope to learn: process ids,",
    "descriptors, device numbers. What it opens it does not write to; what it may signal gets signal 0.",
    "",
    `${ROWS.length} rows. In the whole jail none gets out. ${usual.length} jails are started (\`full\`: ` +
    `${jails(true).length}), with ${starts} answers in all, and`,
    "each must be the one of this page: with none of its walls every row gets out, and with one of its walls",
    "alone that wall stops it. A wall that is not named in a row is known not to stop it.",
    "",
    "Not part of it: QEMU's own `-sandbox` filter, which QEMU installs in itself. It would refuse some of the",
    "calls a second time; nothing here relies on it. `setuid_file` is the only row for which bubblewrap is",
    `replaced: it always sets ${first} and \`no_new_privs\`, so the twin is a bare chroot.`,
    "",
    "## Rows",
    "",
    "Answer: the error's name; `own`: the call worked and reached nothing but the jail's own copy; `killed`:",
    "the kernel ended the jail. Walls stand in the order in which the kernel meets them, each with its answer",
    "when it stands alone; walls joined by *with* stop the row together, and either one missing lets it out.",
    "",
    "| row | tries to | answer | walls, each alone | without them |",
    "|---|---|---|---|---|",
    ...ROWS.map(rowLine),
    "",
    "## Walls",
    "",
    "| wall | is | its twin has |",
    "|---|---|---|",
    ...walls,
    "",
    "## What it does not stop",
    "",
    "- A guest's QEMU may use all that it is given: its CPU time, its memory, its disk, and 64 KiB for messages,",
    "  its own and those of its TPM and its shares' servers.",
    "- A disk whose format grows (qcow2) may grow up to the file system's reserved blocks; `file_size` is set",
    "  only where all disks are raw.",
    "- Inodes in /tmp have no limit of their own; they are the guest's memory and end at `memory.max`.",
    "- What a socket says that the guest's QEMU itself holds out to the host (QMP, agent, console) is not",
    "  judged here: the program takes it for a stranger's (`src/guest/`).",
    "",
  ].join("\n");
}
