/**
 * The policy on a running machine: the plan that a start used is the one that `ray vm plan` prints on a
 * desk, byte for byte; and a policy that only narrows holds at once.
 */
import assert from "node:assert/strict";
import { readDataDisk } from "../../tools/data_disk.ts";
import { PATHS } from "../../src/permissions.ts";
import { vmPlan } from "../../src/cli/vm_plan.ts";
import { fileInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  finish,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const INCOMING = "policy/incoming.toml";

/** A policy as files of the disk under another name than that of the one in force. */
async function waiting(policy: string) {
  const files = await signedPolicy(policy);
  return Object.fromEntries(
    Object.entries(files).map(([path, file]) => [
      path.replace("policy/rayos-policy.toml", INCOMING),
      file,
    ]),
  );
}

Deno.test("the plan of a start equals ray vm plan of a desk, and a policy that narrows holds at once", async () => {
  await using home = await Home.make();
  const policy = await defaultPolicy();
  const narrow = policy.replace("serial = 1", "serial = 2").replace(
    "enabled = true",
    "enabled = false",
  );
  const disk = dataDisk(home, {
    ...guestFiles(GUEST, home),
    ...await signedPolicy(policy),
    ...await waiting(narrow),
  });
  const overlay = await insideOverlay();
  await using run = await startMachine({ disks: [{ path: disk }], overlay });
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);
    const facts = await fileInside(run, `${PATHS.run}/facts.json`);
    const executed = await fileInside(run, `${PATHS.plans}/00`);
    const registry = await fileInside(run, `${PATHS.dataRoot}/vm/registry.json`);
    const { stdout } = vmPlan(GUEST, {
      policy: { name: "policy", bytes: new TextEncoder().encode(policy) },
      registry: { name: "registry", bytes: registry },
      facts: { name: "facts", bytes: facts },
    }, true);
    assert.ok(executed.length > 0);
    assert.equal(JSON.parse(stdout).plan_file, new TextDecoder().decode(executed));

    // What the host says of a guest that runs is the kernel's own count.
    const metrics = await rayInside(run, "metrics");
    const memory = /^rayos_guest_memory_bytes\{vm="linux-demo-001"\} (\d+)$/mu.exec(metrics.output);
    assert.ok(Number(memory?.[1]) > 64 * 1024 * 1024, metrics.output);
    assert.match(metrics.output, /^rayos_guest_cpu_seconds_total\{vm="linux-demo-001"\} [\d.]+$/mu);
    assert.match(metrics.output, /^rayos_boot_ready_seconds [\d.]+$[^]*\n# EOF\n$/mu);
    const { output: chart } = await rayInside(run, "boot chart");
    for (const text of ["kernel", "launch", `${GUEST} ready`, "RAYOS_READY"]) {
      assert.match(chart, new RegExp(`>${text}[ <]`, "u"), `${text} is drawn`);
    }

    const shown = await rayInside(run, `policy install ${INCOMING} --dry-run`);
    assert.equal(shown.code, 0, shown.output);
    assert.match(shown.output, /allowed before, and not now[^]*nothing was installed/u);
    const from = run.lines.length;
    const installed = await rayInside(run, `policy install ${INCOMING}`);
    assert.equal(installed.code, 0, installed.output);
    assert.match(installed.output, new RegExp(`stopped now, since it may no longer run: ${GUEST}`));
    const events = run.lines.slice(from).map((line) => line.event.split(/:[0-9a-f]{64}/u)[0]);
    const wanted = [
      "RAYOS_HOST_EVENT_V0:policy.install:host",
      "RAYOS_POLICY_OK",
      "RAYOS_VM_STATE:running:stopping",
      "RAYOS_VM_STATE:stopping:stopped",
      "RAYOS_HOST_ACK:policy.install:ok:done",
    ];
    assert.deepEqual(events.filter((event) => wanted.includes(event ?? "")), wanted);
    const denied = await rayInside(run, `vm start ${GUEST}`);
    assert.equal(denied.code, 1);
    assert.match(denied.output, /denied by vm\.disabled/u);
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assertClean(disk);
    const after = (path: string) => new TextDecoder().decode(readDataDisk(disk, path) ?? undefined);
    assert.equal(after("policy/rayos-policy.toml"), narrow);
    assert.equal(after("policy/rayos-policy.toml.previous"), policy);
  });
});
