/**
 * What is wrong with the host, in words, each with what to do: what a person sees first, and `why`. Pure.
 */

import { escapeUnsafe } from "../escape.ts";
import { type Crashed, crashText, seeCrash } from "../presentation/status_text.ts";
import { wrap } from "./wrap.ts";

/** What the shell knows when it explains itself. */
export interface Why {
  readonly mode: "normal" | "safe" | "recovery";
  readonly troubles: readonly { code: string; text: string; hint: string }[];
  /** The last crash that left a report, where that was in this boot or the one before. */
  readonly crashed: Crashed | null;
  /** What runs from an earlier start of the program, by the names of it. */
  readonly strangers: readonly string[];
  /** `open`: it may change things; `locked`: after its passphrase; `closed`: there is none. */
  readonly access: "open" | "locked" | "closed";
}

const ACCESS: Readonly<Record<Why["access"], string>> = {
  open: "",
  locked: "This shell only looks until the recovery passphrase was given: `unlock`.",
  closed:
    "No accepted policy has a recovery passphrase: this shell only looks, and restarts the machine.",
};

/** Why the host is not in normal mode, or that it is. */
export function renderWhy({ mode, troubles, crashed, strangers, access }: Why): string {
  const well = troubles.length === 0;
  const head = {
    normal: `RayOS is in normal mode${well ? "." : ", and not everything is well:"}`,
    recovery: "RayOS is in recovery mode, as the kernel command line asked. No guest is started.",
    safe: `RayOS is in safe mode: no guest is started${well ? "." : ", because"}`,
  }[mode];
  const lines = troubles.flatMap((one) => [
    ...wrap(`* ${escapeUnsafe(one.code)}: ${escapeUnsafe(one.text)}`, 2, 4),
    ...(one.hint ? wrap(`-> ${escapeUnsafe(one.hint)}`, 4, 7) : []),
  ]);
  const also = [
    ...crashed === null ? [] : [
      ...wrap(`The last crash: ${escapeUnsafe(crashText(crashed))}.`),
      ...wrap(`-> \`${escapeUnsafe(seeCrash(crashed))}\``, 2, 5),
    ],
    ...strangers.length === 0 ? [] : [
      ...wrap(`From an earlier start of the program still runs: ${strangers.join(", ")}.`),
      ...wrap("-> `vm list` shows more, `vm stop` and `vm kill` end it", 2, 5),
    ],
  ];
  const how = ACCESS[access] === "" ? [] : wrap(ACCESS[access]);
  return ["", head, ...lines, ...also, ...how, "Type `help` for what can be done here.", ""].join(
    "\n",
  );
}
