/**
 * `ray doctor`: what holds on this host. `permissions`: what the program tried outside its permission
 * table, and that each was refused. `hardening`: the kernel's own word on every row of the hardening
 * table, and on the faults of the CPU. It changes nothing.
 */

import { CPU_FAULTS, type HardeningFound, readHardening } from "../boot/hardening.ts";
import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Probe } from "../host/probes.ts";
import { PATHS } from "../permissions.ts";
import { type CommandResult, printable } from "./policy_result.ts";

/** @returns exit code 0 when every attempt was refused, else 1 */
export function doctorPermissions(rows: readonly Probe[], json: boolean): CommandResult {
  const ok = rows.every((row) => row.refused);
  const exit = ok ? 0 : 1;
  if (json) return { exit, stdout: `${JSON.stringify({ ok, probes: rows })}\n`, stderr: "" };
  const lines = rows.map((row) =>
    `${row.refused ? "refused" : "ALLOWED"}  ${row.kind.padEnd(5)}  ${row.tried} (${row.outcome})\n`
  );
  const verdict = ok
    ? `${rows.length} attempts outside the permission table, all refused\n`
    : "an attempt outside the permission table was not refused; " +
      "this program was started with more than its table\n";
  return { exit, stdout: lines.join("") + verdict, stderr: "", prose: true };
}

/** More than any of these files has. */
const TEXT_LIMIT = 64 * 1024;

/** What `hardening` looks with. */
export type Looking = Pick<Host, "readText" | "list">;

/**
 * The hardening table read back, and what the kernel says of the CPU's faults.
 *
 * @returns exit code 0 when every row holds, else 1
 * @throws Fault `doctor.no_host` where stage 0 has not shown the kernel's files
 */
export function doctorHardening(host: Looking, json: boolean): CommandResult {
  if (host.list(PATHS.sysfs).length === 0) {
    throw new Fault(
      "cli",
      "doctor.no_host",
      `hardening: ${PATHS.sysfs} is not there; ask on a host that RayOS has booted`,
    );
  }
  const rows = readHardening((path) => host.readText(ownPath(path), TEXT_LIMIT));
  const cpu = host.list(ownPath(CPU_FAULTS)).sort().map((name) => ({
    name,
    says: host.readText(ownPath(`${CPU_FAULTS}/${name}`), TEXT_LIMIT)?.trimEnd() ?? "",
  }));
  const ok = rows.every((row) => row.holds);
  const exit = ok ? 0 : 1;
  if (json) return { exit, stdout: `${JSON.stringify({ ok, rows, cpu })}\n`, stderr: "" };
  const width = Math.max(...rows.map((row) => row.id.length), ...cpu.map((one) => one.name.length));
  const lines = [
    ...rows.map((row) => `${row.holds ? "holds    " : "DIFFERENT"}  ${words(row, width)}\n`),
    ...cpu.map(({ name, says }) => `reported   ${name.padEnd(width)}  ${printable(says)}\n`),
  ];
  const verdict = ok
    ? `${rows.length} rows, all hold\n`
    : "a row does not hold; restart the host, and look at what stage 0 says on the console\n";
  return { exit, stdout: lines.join("") + verdict, stderr: "", prose: true };
}

function words({ id, where, wanted, found, holds, reason }: HardeningFound, width: number): string {
  const text = `${id.padEnd(width)}  ${where} = ${found === null ? "nothing" : printable(found)}`;
  return holds ? text : `${text}, wanted ${wanted.join(" or ")}: ${reason}`;
}

/** A path of the kernel's where stage 0 shows it to the program. */
function ownPath(path: string): string {
  return path.startsWith("/proc/")
    ? `${PATHS.proc}${path.slice("/proc".length)}`
    : `${PATHS.sysfs}${path.slice("/sys".length)}`;
}
