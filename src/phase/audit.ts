/**
 * The audit log over a boot: where it lies, that it is sealed from time to time, and the one moment in which
 * a person is shown its verification key.
 */

import { readFingerprint } from "../audit/audit_log.ts";
import type { Head } from "../audit/verify.ts";
import { keyText } from "../audit/verification_key.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { measureHead } from "./measure.ts";

export const AUDIT_FOLDER = `${PATHS.dataRoot}/logs/audit`;
export const AUDIT_KEY_FILE = `${PATHS.dataRoot}/boot/audit.key`;
/** Which key the image expects the log to be under; optional. */
const EXPECTED_FILE = `${PATHS.imageFacts}/audit.fingerprint`;
/** Between two seals. */
const SEAL_MS = 15 * 60_000;

/** Opens the log on the data root that is there now, and tells what is wrong with what was found. */
export function openAudit(runtime: Runtime): void {
  const { host, audit, emit } = runtime;
  const findings = audit.open({
    folder: AUDIT_FOLDER,
    keyFile: AUDIT_KEY_FILE,
    hadHistory: wasUsed(runtime),
    expected: readFingerprint(host.readText(EXPECTED_FILE, 4096)),
  });
  for (const issue of findings) {
    emit({ type: "audit_finding", issue });
    const text = `${issue.path}: expected ${issue.expected}, found ${issue.found}`;
    runtime.troubles.push({ code: issue.rule, text, hint: issue.hint });
  }
}

/** Whether another boot left something on this data root. */
function wasUsed({ host, bootId }: Runtime): boolean {
  const boots = host.list(`${PATHS.dataRoot}/boot/history`);
  return boots.some((name) => name !== `${bootId}.json`);
}

/** From when the host is ready: shows the key where nobody has seen it, and seals now and then. */
export function keepAudit(runtime: Runtime): void {
  const { host, audit, emit } = runtime;
  const told = (error: unknown) => {
    const message = `audit log: ${reasonOf(error)}; see the console`;
    emit({ type: "fault", stage: "ready", code: "audit.keep", message });
  };
  void showKey(runtime).catch(told);
  // What led here is anchored, as soon as the TPM takes it.
  audit.flush();
  void measureHead(runtime, audit.log?.head ?? null);
  const seals = async () => {
    while (!runtime.ending) {
      await host.clock.sleep(SEAL_MS);
      if (runtime.ending) return;
      await tellSeal(runtime, audit.seal("timer"));
    }
  };
  void seals().catch(told);
}

/** Says where the log was sealed, to whoever reads along and to the TPM; null: it could not be. */
export async function tellSeal(runtime: Runtime, head: Head | null): Promise<void> {
  if (head === null) return;
  runtime.emit({ type: "audit_sealed", seq: head.seq, head: head.hash });
  await measureHead(runtime, head);
}

/**
 * Shows the verification key, once for the life of a data root, and forgets it. A log in memory ends with the
 * machine, and its key is worth nothing.
 */
async function showKey({ host, audit, emit, dataDevice }: Runtime): Promise<void> {
  const { log } = audit;
  const key = log?.unshown ?? null;
  if (log === null || key === null || dataDevice === "tmpfs") return;
  // Only the first boot of a disk needs it.
  const { drawQr } = await import("../audit/qr.ts");
  if (log !== audit.log) return;
  const text = keyText(key);
  host.console(renderKey(text, log.fingerprint, drawQr(text)));
  log.forgetKey();
  emit({ type: "audit_key", fingerprint: log.fingerprint });
}

/** The key as the console shows it. */
function renderKey(text: string, fingerprint: string, drawn: string): string {
  return [
    "",
    "The verification key of this host's audit log. It is shown once: keep it, and not on this host.",
    drawn,
    text,
    `fingerprint ${fingerprint}`,
    "",
  ].join("\n") + "\n";
}
