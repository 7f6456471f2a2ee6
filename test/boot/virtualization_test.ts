/** A machine without /dev/kvm: the policy decides whether a guest may be emulated, and lines say so. */
import assert from "node:assert/strict";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  fieldsOf,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  guestProcessesEver,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

async function bootWithoutKvm(security: string, wanted: string[]) {
  await using home = await Home.make();
  const disk = dataDisk(home, {
    ...guestFiles(GUEST, home),
    ...await signedPolicy(`${await defaultPolicy()}${security}`),
  });
  await using run = await startMachine({ disks: [{ path: disk }], kvm: false });
  let lines = run.lines;
  await showingLines(run, async () => {
    const boot = await finish(run, ...wanted);
    assertEndedInOrder(boot);
    assertClean(disk);
    lines = [...boot.lines];
  });
  return lines;
}

Deno.test("boot without KVM starts no guest where the policy requires it", async () => {
  const lines = await bootWithoutKvm("", ["RAYOS_READY"]);
  assert.equal(fieldsOf(lines, "RAYOS_NO_VIRTUALIZATION")["policy"], "required");
  assert.equal(fieldsOf(lines, "RAYOS_READY")["mode"], "safe");
  assert.equal(guestProcessesEver(lines), 0);
});

fullTest(
  "boot without KVM emulates where the policy allows it, and every line says so",
  async () => {
    const security = '\n[security]\nvirtualization = "emulated_ok"\n';
    const lines = await bootWithoutKvm(security, ["RAYOS_READY", `RAYOS_VM_CONFINED vm=${GUEST}`]);
    assert.equal(fieldsOf(lines, "RAYOS_NO_VIRTUALIZATION")["policy"], "emulated_ok");
    assert.equal(fieldsOf(lines, "RAYOS_READY")["mode"], "normal");
    assert.deepEqual(eventsNamed(lines, "RAYOS_POLICY_VIOLATION"), []);
    const about = lines.filter((line) => line.fields["vm"] === GUEST);
    assert.ok(about.length > 3);
    const silent = about.filter((line) => line.fields["virtualization"] !== "emulated");
    assert.deepEqual(silent.map((line) => line.text), []);
  },
);
