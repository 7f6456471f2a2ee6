/**
 * What a booted host is asked over its control socket by a small program in the test image, in the time in
 * which a whole `ray` there would only begin.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { staticProgram } from "../hostile/static_program.ts";

/** The program by which the host is asked something at once. */
export async function requestOverlay(): Promise<Record<string, OverlayFile>> {
  const folder = await Deno.makeTempDir({ prefix: "rayos-request-" });
  try {
    const data = await staticProgram([`${PROJECT}/test/boot/request.c`], `${folder}/request`);
    return { "/usr/lib/request": { data, mode: 0o755 } };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Has it ask for something; what the host says of it comes as lines. */
export async function request(run: BootRun, op: string, args: object): Promise<void> {
  await run.typeSerial(`do /usr/lib/request ${op} '${JSON.stringify(args)}'\r`);
}

/** Milliseconds: more than a guest takes for what is not its whole memory. */
const ANSWER_MS = 60_000;

/** Asks for it over the control socket; gives the host's words of what came of it. */
export async function asked(
  run: BootRun,
  op: string,
  args: object,
  limitMs = ANSWER_MS,
): Promise<string> {
  const from = run.lines.length;
  await request(run, op, args);
  const ack = await run.waitFor(new RegExp(`RAYOS_HOST_ACK:${op}:`, "u"), limitMs, from);
  return ack.event.split(":").slice(2).join(":");
}

/** Asks for it where it must be done. */
export async function done(
  run: BootRun,
  op: string,
  args: object,
  limitMs = ANSWER_MS,
): Promise<void> {
  const words = await asked(run, op, args, limitMs);
  assert.match(words, /^ok/u, `${op} ${JSON.stringify(args)}`);
}

/** Asks for what that rule stands against. */
export async function denied(run: BootRun, op: string, args: object, rule: string): Promise<void> {
  assert.equal(await asked(run, op, args), `err:${rule}`, `${op} ${JSON.stringify(args)}`);
}
