/**
 * The program as PID 1 starts it: makes the runtime, runs the sequence, then serves until the machine
 * ends. It composes and decides nothing itself.
 */

import { LogSinks } from "./audit/sinks.ts";
import { beforeProgram, type ImageFacts, imageFacts, nextStart } from "./boot/session.ts";
import { reasonOf } from "./fault.ts";
import type { Host } from "./host/port.ts";
import { oneAtATime } from "./one_at_a_time.ts";
import { PATHS } from "./permissions.ts";
import { beat, lateForReady } from "./phase/alive.ts";
import { auditOperations } from "./phase/audit_commands.ts";
import { backUp, restore } from "./phase/backup_commands.ts";
import { clone } from "./phase/clone_command.ts";
import { reportUncaught } from "./phase/crash.ts";
import { diskLauncher, diskOperations } from "./phase/disk_commands.ts";
import { guestOperations } from "./phase/guest_commands.ts";
import { viewOperations } from "./phase/host_view.ts";
import { beginInput } from "./phase/input.ts";
import { knownOfStart } from "./phase/last_known.ts";
import { metricsOperations } from "./phase/metrics.ts";
import { networkOperations } from "./phase/network_rights.ts";
import { installPolicy } from "./phase/policy_install.ts";
import { powerButton, powerOperations } from "./phase/power.ts";
import { serveRecovery } from "./phase/recovery_console.ts";
import { beginScreenShell } from "./phase/recovery_screen.ts";
import { recoveryOperations } from "./phase/recovery_operations.ts";
import { presentationOperations } from "./phase/presentation_commands.ts";
import { defineGuest, removeGuest } from "./phase/registry_change.ts";
import { shareOperations } from "./phase/share_rights.ts";
import { acceptSerial } from "./phase/serial_accept.ts";
import { beginScreen } from "./phase/screen.ts";
import type { Allowed } from "./policy/authorize.ts";
import { POWER_BUTTON_NOTE, STARTS_FILE } from "./phase/session.ts";
import { Runtime } from "./runtime.ts";
import { runSequence } from "./sequence.ts";

const FACT_LIMIT = 256 * 1024;

/** What is believed of an image that says nothing: nothing that would loosen anything. */
const UNKNOWN_IMAGE: ImageFacts = {
  version: "unknown",
  buildId: "unknown",
  profile: "release",
  form: "unknown",
  runtime: "unknown",
  built: new Date(0),
};

/** Runs the host; returns only when the program is to end. */
export async function init(host: Host): Promise<void> {
  const startedMs = host.clock.monoMs();
  const text = (path: string) => host.readText(path, FACT_LIMIT);
  const image = imageFacts(text(`${PATHS.imageFacts}/build.json`));
  const bootId = text(`${PATHS.proc}/sys/kernel/random/boot_id`)?.trim() ?? "unknown";
  const starts = nextStart(text(STARTS_FILE), bootId);
  const sinks = new LogSinks(host);
  const before = knownOfStart(host, bootId);
  const runtime = new Runtime(host, sinks, image ?? UNKNOWN_IMAGE, bootId, starts, before);
  void beat(runtime);
  const { version, buildId, form, runtime: inside, profile } = runtime.image;
  runtime.emit({
    type: "init_start",
    version,
    buildId,
    bootId,
    form,
    runtime: inside,
    profile,
    start: starts.start,
  });
  const times = beforeProgram(text(`${PATHS.run}/stage0`), startedMs);
  if (times !== null && starts.start === 1) runtime.emit({ type: "before_program", ...times });
  host.onUncaught((error) => {
    const message = `program: ${reasonOf(error)}; it is started again, guests run on`;
    runtime.emit({ type: "fault", stage: "session", code: "init.uncaught", message });
    reportUncaught(runtime, message);
    runtime.audit.close();
    sinks.closeFiles();
  });
  composeOperations(runtime);
  const screen = beginScreen(runtime);
  host.onPowerButton(() => void powerButton(runtime));
  // Pressed while no program ran: nothing is begun. Guests that run are ended in order.
  if (host.lstat(POWER_BUTTON_NOTE) !== null) return await powerButton(runtime);
  // The command line is read when the first phase has run, which is before this returns.
  const boot = runSequence(runtime);
  await Promise.race([boot, lateForReady(runtime)]);
  if (runtime.ending) return;
  if (screen !== null) {
    // Where the boot did not come so far: a shell that is seen can be typed into.
    void beginInput(runtime);
    beginScreenShell(runtime, screen);
  }
  if (runtime.mode !== "normal") await serveRecovery(runtime);
}

/** The operations that stand in files of their own. The permit's op is the one it is filed under. */
export function composeOperations(runtime: Runtime): void {
  const { operations } = runtime;
  const launcher = diskLauncher(runtime.host);
  const inFiles = [
    ...viewOperations(runtime),
    ...auditOperations(runtime),
    ...guestOperations(runtime),
    ...diskOperations(runtime, launcher),
    ...networkOperations(runtime),
    ...presentationOperations(runtime),
    ...shareOperations(runtime),
    ...recoveryOperations(runtime),
    ...metricsOperations(runtime),
    ...powerOperations(runtime),
  ];
  for (const [op, operation] of inFiles) {
    operations.set(op, operation);
  }
  operations.set("vm.backup", (permit) => backUp(runtime, permit as Allowed<"vm.backup">));
  operations.set(
    "vm.restore",
    (permit, args) => restore(runtime, permit as Allowed<"vm.restore">, args),
  );
  operations.set(
    "vm.clone",
    (permit, args) => clone(runtime, permit as Allowed<"vm.clone">, args, launcher),
  );
  const install = oneAtATime(installPolicy);
  operations.set(
    "policy.install",
    (permit, args) => install(runtime, permit as Allowed<"policy.install">, args),
  );
  operations.set(
    "serial.accept",
    (permit) => acceptSerial(runtime, permit as Allowed<"serial.accept">),
  );
  operations.set(
    "vm.define",
    (permit, args) => defineGuest(runtime, permit as Allowed<"vm.define">, args),
  );
  operations.set(
    "vm.remove",
    (permit) => removeGuest(runtime, permit as Allowed<"vm.remove">),
  );
}
