/**
 * `ray doctor`: everything that can be asked of the host at once, each row with how it is mended. It
 * changes nothing; exit code 1 where a row is bad.
 */

import { ask } from "../control/client.ts";
import { asFault, Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { wrap } from "../recovery/wrap.ts";
import type { CliContext } from "./context.ts";
import { doctorHardening, doctorPermissions } from "./doctor.ts";
import {
  crashRows,
  type DoctorRow,
  kernelRows,
  keyRows,
  nextBootRows,
  statusRows,
  unreachable,
} from "./doctor_rows.ts";
import { type CommandResult, printable } from "./policy_result.ts";

const SMALL = 4096;

export async function doctorAll(context: CliContext, json: boolean): Promise<CommandResult> {
  const rows = [
    ...await askedRows(context),
    ...kernelRows(context.host.readText(`${PATHS.cgroup}/cgroup.controllers`, SMALL)),
    ...hardeningRows(context),
    ...permissionRows(doctorPermissions(await context.probe(), true)),
  ];
  const exit = rows.some((row) => row.holds === "bad") ? 1 : 0;
  const ok = exit === 0;
  if (json) return { exit, stdout: `${JSON.stringify({ ok, rows }, null, 2)}\n`, stderr: "" };
  return { exit, stdout: renderRows(rows), stderr: "" };
}

async function askedRows(context: CliContext): Promise<DoctorRow[]> {
  const asked = async (op: string, rows: (result: unknown) => DoctorRow[]) => {
    const answer = await ask(context.host, op, {});
    return answer.ok ? rows(answer.result) : unreachable(`${op} denied by ${answer.error.rule}`);
  };
  try {
    return [
      ...await asked("status", statusRows),
      ...await asked("policy.check", (found) => nextBootRows("policy", "the policy", found)),
      ...await asked("registry.check", (found) => nextBootRows("guests", "the registry", found)),
      ...await asked("keys.list", keyRows),
      ...await asked("crash.list", crashRows),
    ];
  } catch (error) {
    return unreachable(asFault(error, "cli", "doctor.host").message.split(";")[0] ?? "");
  }
}

function hardeningRows(context: CliContext): DoctorRow[] {
  try {
    const { rows, cpu } = JSON.parse(doctorHardening(context.host, true).stdout);
    const failing = (rows as { id: string; holds: boolean; reason: string }[]).filter((one) =>
      !one.holds
    );
    const faults = (cpu as { name: string; says: string }[]).filter((one) =>
      /^Vulnerable/.test(one.says)
    );
    return [
      ...failing.map((one): DoctorRow => ({
        area: "hardening",
        holds: "bad",
        found: `${one.id} does not hold: ${one.reason}`,
        fix: "`ray doctor hardening` shows it; restart the host",
      })),
      ...failing.length > 0 ? [] : [holds("hardening", `${rows.length} rows, all hold`)],
      ...faults.map((one): DoctorRow => ({
        area: "hardening",
        holds: "note",
        found: `${one.name}: ${one.says}`,
        fix: "update the firmware and its microcode",
      })),
    ];
  } catch (error) {
    if (error instanceof Fault && error.code === "doctor.no_host") return [];
    throw error;
  }
}

function permissionRows({ exit, stdout }: CommandResult): DoctorRow[] {
  const { probes } = JSON.parse(stdout) as {
    probes: { refused: boolean; kind: string; tried: string }[];
  };
  if (exit === 0) {
    return [holds("permissions", `${probes.length} attempts outside the table, all refused`)];
  }
  return probes.filter((one) => !one.refused).map((one) => ({
    area: "permissions",
    holds: "bad",
    found: `${one.kind} ${one.tried} was not refused`,
    fix: "start this program as /usr/bin/ray of the image",
  }));
}

function holds(area: DoctorRow["area"], found: string): DoctorRow {
  return { area, holds: "ok", found, fix: "" };
}

/** In 80 columns: what holds first in a line, how it is mended below. */
export function renderRows(rows: readonly DoctorRow[]): string {
  const lines = rows.flatMap(({ area, holds: how, found, fix }) => {
    const head = `${how === "bad" ? "BAD" : how}`.padEnd(5).replaceAll(" ", "\0");
    const name = area.padEnd(12).replaceAll(" ", "\0");
    return [
      ...wrap(`${head}${name}${printable(found)}`, 0, 17),
      ...fix === "" ? [] : wrap(`-> ${printable(fix)}`, 17, 20),
    ];
  });
  const bad = rows.filter((row) => row.holds === "bad").length;
  const verdict = bad === 0
    ? "nothing is bad"
    : bad === 1
    ? "one thing is bad"
    : `${bad} things are bad`;
  return `${lines.join("\n").replaceAll("\0", " ")}\n${verdict}\n`;
}
