/**
 * The host's status as text: what `ray status` prints, `ray status --watch` prints again and again, and the
 * host's own screen shows while nobody is presented. One content, whoever reads it. It decides nothing.
 */

import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";
import { UPLINK_TROUBLES } from "../network/uplink.ts";

const GUEST = v.looseObject({
  vm: v.string(),
  state: v.string(),
  kind: v.optional(v.string(), "-"),
  slot: v.optional(v.number()),
  agent: v.optional(v.boolean(), false),
  network: v.optional(v.string(), "-"),
  lease_left_s: v.optional(v.nullable(v.number()), null),
  screen: v.optional(v.boolean(), false),
  presented: v.optional(v.boolean(), false),
  emulated: v.optional(v.boolean(), false),
  memory_mib: v.optional(v.number()),
  /** It runs from an earlier start, and nobody took it up; whose it is, as the record of its run says. */
  stranger: v.optional(v.boolean(), false),
  recorded_vm: v.optional(v.nullable(v.string()), null),
  violations: v.array(v.string()),
});
const CRASHED = v.looseObject({
  boot: v.string(),
  n: v.number(),
  cause: v.nullable(v.string()),
  phase: v.nullable(v.string()),
  time: v.nullable(v.string()),
  this_boot: v.boolean(),
});
/** The last crash that the host tells of, as `status` has it. */
export type Crashed = v.InferOutput<typeof CRASHED>;
/** What has to be typed after the chord to have the recovery shell on the screen: nobody does so by accident. */
export const CONFIRMATION = "recovery";

const STATUS = v.looseObject({
  version: v.string(),
  boot_id: v.string(),
  start: v.number(),
  mode: v.string(),
  ready: v.boolean(),
  uptime_ms: v.number(),
  data: v.nullable(v.string()),
  virtualization: v.string(),
  policy: v.nullable(
    v.looseObject({
      sha256: v.string(),
      serial: v.nullable(v.number()),
      key: v.nullable(v.string()),
    }),
  ),
  host_screen: v.optional(v.nullable(v.string()), null),
  attention: v.optional(v.string(), ""),
  crashed: v.optional(v.nullable(CRASHED), null),
  troubles: v.array(v.looseObject({ code: v.string(), text: v.string(), hint: v.string() })),
  guests: v.array(GUEST),
});

/** What a NIC's state means. */
const UPLINK_WORDS: Readonly<Record<string, string>> = {
  up: "up: it has an address",
  no_address: "no DHCP server gave it an address yet",
  unknown: "it changed while it was looked at: ask again",
  ...UPLINK_TROUBLES,
};
const NETWORK = v.looseObject({
  uplinks: v.array(v.looseObject({ nic: v.string(), state: v.string() })),
  guests: v.array(GUEST),
});

/** The host's status for a person. */
export function renderStatus(result: unknown): string {
  const status = v.safeParse(STATUS, result);
  if (!status.success) return "rayos: status: the host answered in another shape; use --json\n";
  const one = status.output;
  const rows: [string, string][] = [
    ["mode", `${one.mode}${one.ready ? "" : ", not ready yet"}`],
    ["version", one.version],
    ["boot", `${one.boot_id}, start ${one.start}`],
    ["up", `${(one.uptime_ms / 1000).toFixed(1)} s`],
    ["data", one.data ?? "none"],
    ["virtualization", one.virtualization],
    [
      "policy",
      one.policy === null
        ? "none"
        : `${one.policy.sha256.slice(0, 16)}, serial ${one.policy.serial ?? "none"}, key ${
          one.policy.key ?? "none (unsigned)"
        }`,
    ],
  ];
  if (one.crashed !== null) rows.push(["crash", crashText(one.crashed)]);
  const head = rows.map(([name, value]) => `${name.padEnd(15)}${escapeUnsafe(value)}\n`).join("");
  const troubles = one.troubles.map((trouble) =>
    `! ${escapeUnsafe(`${trouble.code}: ${trouble.text}`)}\n` +
    (trouble.hint === "" ? "" : `  -> ${escapeUnsafe(trouble.hint)}\n`)
  ).join("");
  const see = one.crashed === null ? "" : `  -> ${escapeUnsafe(seeCrash(one.crashed))}\n`;
  return head + see + troubles + renderGuests(one.guests) + adviceOf(one) + shellAdviceOf(one);
}

/** What ended that should not have, and when. */
export function crashText({ cause, time, this_boot }: Crashed): string {
  const what = cause ?? "a crash whose report cannot be read";
  return `${what} in ${this_boot ? "this boot" : "the last boot"}, ${time ?? "at an unknown time"}`;
}

/** The command that shows its report. */
export function seeCrash({ boot, n }: Crashed): string {
  return `crash show ${boot.slice(0, 8)}${n === 1 ? "" : ` ${n}`}`;
}

/** What a person can do next; where something is wrong, its own hint says it. */
function adviceOf({ mode, guests }: v.InferOutput<typeof STATUS>): string {
  if (mode !== "normal" || guests.some((one) => one.presented)) return "";
  const names = (states: readonly string[]) =>
    guests.filter((one) => one.screen && states.includes(one.state)).map((one) => one.vm);
  const [running] = names(["running"]);
  if (running !== undefined) {
    const vm = escapeUnsafe(running);
    return `-> ray present ${vm} shows that guest; in the shell here: present ${vm}\n`;
  }
  const [resting] = names(["defined", "stopped", "suspended"]);
  if (resting === undefined) return "";
  return `-> ray vm start ${escapeUnsafe(resting)} starts that guest, which has a screen\n`;
}

/** How the host's own shell is had at its screen, where there is one that shows its status now. */
function shellAdviceOf(one: v.InferOutput<typeof STATUS>): string {
  if (one.guests.some((guest) => guest.presented)) return "";
  const word = `type ${CONFIRMATION} and Enter`;
  if (one.host_screen === "asked") return `-> ${word} for the recovery shell\n`;
  if (one.host_screen !== "status") return "";
  return `-> ${escapeUnsafe(one.attention)} at this host, then ${word}: the recovery shell\n`;
}

/** What of the host's status says who has a network: for a person. */
export function renderNetwork(result: unknown): string {
  const status = v.safeParse(NETWORK, result);
  if (!status.success) return "rayos: network: the host answered in another shape\n";
  const { uplinks, guests } = status.output;
  const nics = uplinks.map(({ nic, state }) => [nic, UPLINK_WORDS[state] ?? state]);
  const rows = [
    ["uplink", "state"],
    ...nics.length === 0 ? [["none", "no NIC was looked for, or none is there"]] : nics,
    ["guest", "network"],
    ...guests.length === 0 ? [["none", ""]] : guests.map((one) => [one.vm, networkText(one)]),
  ];
  const width = Math.max(...rows.map(([name = ""]) => escapeUnsafe(name).length));
  const lines = rows.map(([name = "", text = ""]) =>
    `${escapeUnsafe(name).padEnd(width)}  ${escapeUnsafe(text)}`.trimEnd()
  );
  return `${lines.join("\n")}\nThe host itself has none, and no command here turns one on.\n`;
}

function networkText({ network, lease_left_s }: v.InferOutput<typeof GUEST>): string {
  if (network === "left") return "what an earlier start gave it is there";
  return lease_left_s === null ? network : `${network}, ${lease_left_s} s left`;
}

/** Guests for a person. */
export function renderGuests(result: unknown): string {
  const guests = v.safeParse(v.array(GUEST), result);
  if (!guests.success) return "rayos: vm list: the host answered in another shape; use --json\n";
  if (guests.output.length === 0) return "no guests\n";
  const rows = [
    ["guest", "kind", "slot", "state", "agent", "network", "memory", ""],
    ...guests.output.map((one) => [
      one.vm,
      one.kind,
      one.slot === undefined ? "-" : String(one.slot),
      one.state,
      one.agent ? "ready" : "-",
      one.network === "left" ? "left" : networkText(one),
      one.memory_mib === undefined ? "-" : `${one.memory_mib} MiB`,
      [
        one.presented ? "presented" : "",
        one.emulated ? "emulated" : "",
        one.stranger ? "stranger" : "",
        one.recorded_vm === null ? "" : `(${one.recorded_vm})`,
        ...one.violations,
      ].filter((word) => word !== "").join(" "),
    ]),
  ];
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    `${
      row.map((cell, column) => escapeUnsafe(cell).padEnd(widths?.[column] ?? 0)).join("  ")
        .trimEnd()
    }\n`
  ).join("");
}
