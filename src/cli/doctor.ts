/**
 * `ray doctor permissions`: what the program tried outside its permission table, and that each was
 * refused. It changes nothing.
 */

import type { Probe } from "../host/probes.ts";
import type { CommandResult } from "./policy_result.ts";

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
  return { exit, stdout: lines.join("") + verdict, stderr: "" };
}
