/**
 * The policy on a running machine: the plan that a start used is the one that `ray vm plan` prints on a
 * desk, byte for byte; and a policy that only narrows holds at once.
 */
import assert from "node:assert/strict";
import { listDataDisk, readDataDisk } from "../../tools/data_disk.ts";
import { decodeKeyState } from "../../src/audit/key_state.ts";
import { readKeyText } from "../../src/audit/verification_key.ts";
import { verifyAll } from "../../src/audit/verify.ts";
import { PATHS } from "../../src/permissions.ts";
import { vmPlan } from "../../src/cli/vm_plan.ts";
import { fileInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  fieldsOf,
  finish,
  type FinishedBoot,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import { readByPrometheus } from "../python.ts";

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

/** The guest of the tests tries to be taken for the host; its own log alone has what it wrote. */
function assertNotForged(disk: string, { console: serial, lines }: FinishedBoot): void {
  const text = (path: string) =>
    new TextDecoder().decode(readDataDisk(disk, path) ?? new Uint8Array());
  const own = text(`vm/linux/${GUEST}/logs/console.log`);
  assert.match(own, /INFO init RAYOS_READY mode=forged guests=9/u, "it tried");
  assert.match(own, /RAYOS_POLICY_OK:forged/u);
  assert.doesNotMatch(serial, /forged/u);
  assert.deepEqual(lines.filter((line) => /forged/u.test(JSON.stringify(line))), []);
  const log = text("logs/rayos.log");
  assert.doesNotMatch(log, /forged/u);
  const kernel = log.split("\n").filter((line) => / kernel kernel at_ms=\d+ text=/u.test(line));
  const shown = serial.split("\n").filter((line) => / kernel kernel at_ms=/u.test(line));
  assert.deepEqual(shown, [], "the kernel's words are not on the console");
  console.log(
    `      forged by the guest: 0 lines; ${kernel.length} lines of the kernel's in the log`,
  );
}

/** The audit log of the disk, verified with the key that the console showed; and a bit of it flipped. */
function assertAudited(disk: string, boot: FinishedBoot): void {
  const folder = "logs/audit";
  const shown = boot.console.match(/\b[A-Z2-7]{5}(-[A-Z2-7]{5}){10}\b/u)?.[0] ?? "none";
  const key = readKeyText(shown);
  assert.ok(key !== null, "the console shows the verification key");
  const parts = listDataDisk(disk, `/${folder}`).map(({ path }) => path.split("/").at(-1) ?? "")
    .filter((name) => name.startsWith("audit-")).sort()
    .map((name) => ({ name, bytes: readDataDisk(disk, `${folder}/${name}`) ?? new Uint8Array() }));
  const state = decodeKeyState(
    Uint8Array.from(readDataDisk(disk, "boot/audit.key") ?? new Uint8Array()),
  );
  assert.equal(state?.unshown, null, "the disk has it no more");
  const anchors = { key, head: null, state };
  const report = verifyAll(parts, anchors);
  assert.deepEqual([report.ok, report.anchor], [true, "key"], JSON.stringify(report));
  const sealed = fieldsOf(boot.lines, "audit_sealed");
  assert.deepEqual(report.head, { seq: Number(sealed["seq"]), hash: sealed["head"] });
  console.log(`      ${parts.length} file, ${report.records} records, good with the key`);
  const [first] = parts;
  const at = Math.floor((first?.bytes.length ?? 0) / 2);
  const flipped = Uint8Array.from(first?.bytes ?? []);
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  const found = verifyAll([{ name: first?.name ?? "", bytes: flipped }], anchors);
  assert.equal(found.ok, false);
  console.log(
    `      bit 0 of byte ${at} flipped: ${found.bad?.rule} at ${found.bad?.file}:${found.bad?.line}`,
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
    // All of it is what Prometheus' own parser takes.
    const [families = []] = await readByPrometheus([metrics.output]);
    const names = families.map(([name]) => name);
    assert.ok(
      ["rayos_guest_memory_bytes", "rayos_guest_state"].every((one) => names.includes(one)),
      names.join(" "),
    );
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
    const own = await rayInside(run, "audit verify");
    assert.equal(own.code, 0, own.output);
    assert.match(own.output, /^1 file, records 1 to \d+[^]*NOT ANCHORED/u);
    const about = await rayInside(run, `audit show --vm ${GUEST} --rule vm.disabled`);
    assert.match(about.output, /audit_deny caller=socket .*op=vm\.start rule=vm\.disabled/u);
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assertClean(disk);
    assertAudited(disk, boot);
    assertNotForged(disk, boot);
    const after = (path: string) => new TextDecoder().decode(readDataDisk(disk, path) ?? undefined);
    assert.equal(after("policy/rayos-policy.toml"), narrow);
    assert.equal(after("policy/rayos-policy.toml.previous"), policy);
  });
});
