/**
 * `audit.verify` and `audit.show` of the control socket: the host reads its own log back, a piece at a time.
 * What it finds is for a person; the verification key is never asked for here, since a host that has it can
 * write the past anew.
 */

import { decodeKeyState, KEY_STATE_BYTES } from "../audit/key_state.ts";
import { matching, partsIn, readHead } from "../audit/reader.ts";
import { type AuditReport, type Head, verifyLog } from "../audit/verify.ts";
import type { Outcome } from "../control/protocol.ts";
import { asFault, Fault } from "../fault.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { AUDIT_FOLDER, AUDIT_KEY_FILE } from "./audit.ts";

const MOST_SHOWN = 500;
/** Well below what a client takes as an answer. */
const MOST_BYTES = 512 * 1024;

export function auditOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["audit.verify", (_, args) => verify(runtime, args)],
    ["audit.show", (_, args) => show(runtime, args)],
  ];
}

async function verify(
  runtime: Runtime,
  { head: given }: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const { host, audit } = runtime;
  const asked = given === undefined ? null : readHead(given);
  if (given !== undefined && asked === null) {
    return {
      ok: false,
      rule: "control.form",
      detail: "head: expected what `ray audit head` prints",
    };
  }
  audit.flush();
  // Before the log: it may grow meanwhile, and then has more than the state says.
  const bytes = host.read(AUDIT_KEY_FILE, KEY_STATE_BYTES);
  const state = bytes === null ? null : decodeKeyState(bytes);
  const byTpm = asked === null ? await tpmHead(runtime) : null;
  const head = byTpm instanceof Fault ? null : asked ?? byTpm;
  const anchors = { key: null, head, state };
  const report = await breathing(runtime, verifyLog(partsIn(host, AUDIT_FOLDER), anchors));
  const said = asked === null ? withTpm(report, byTpm) : report;
  return { ok: true, result: { ...said, writable: audit.why === null } };
}

/** The last head that the TPM was given, by its own word; a fault where it has no such word. */
async function tpmHead({ measuring }: Runtime): Promise<Head | Fault | null> {
  try {
    return await measuring.auditHead();
  } catch (error) {
    return asFault(error, "measure", "measure.failed");
  }
}

/** A report on a log that was held against such a head. */
function withTpm(report: AuditReport, byTpm: Head | Fault | null): AuditReport {
  if (!(byTpm instanceof Fault)) {
    return report.anchor === "head" ? { ...report, anchor: "tpm" } : report;
  }
  const { code, message } = byTpm;
  const [what = message] = message.split(";");
  if (code !== "measure.account") return { ...report, notes: [...report.notes, what] };
  const bad = report.bad ?? { file: "", line: null, seq: null, rule: "audit.tpm", what };
  return { ...report, ok: false, bad };
}

async function show(
  runtime: Runtime,
  { vm, since, rule, limit, head }: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const { host, audit } = runtime;
  audit.flush();
  if (head === true) {
    const now = audit.log?.head ?? null;
    return now === null
      ? { ok: false, rule: "audit.unwritable", detail: audit.why ?? "it is not open" }
      : { ok: true, result: { head: `${now.seq}:${now.hash}` } };
  }
  const from = typeof since === "string" ? new Date(since) : null;
  if (from !== null && Number.isNaN(from.getTime())) {
    return { ok: false, rule: "control.form", detail: "since: expected a time (RFC 3339)" };
  }
  const filter = {
    vm: typeof vm === "string" ? vm : null,
    since: from,
    rule: typeof rule === "string" ? rule : null,
    limit: typeof limit === "number" && limit >= 1 ? Math.min(MOST_SHOWN, Math.floor(limit)) : 100,
  };
  const found = await breathing(runtime, matching(partsIn(host, AUDIT_FOLDER), filter));
  while (JSON.stringify(found).length > MOST_BYTES) found.splice(0, Math.ceil(found.length / 4));
  return { ok: true, result: found };
}

/** Does long work between the host's other work. */
async function breathing<T>({ host }: Runtime, work: Generator<void, T>): Promise<T> {
  while (true) {
    const step = work.next();
    if (step.done) return step.value;
    await host.clock.sleep(0);
  }
}
