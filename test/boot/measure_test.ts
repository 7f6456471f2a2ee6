/**
 * What a boot measures into the machine's TPM, on a real machine: the TPM's own PCRs, as the kernel reads them, are
 * what the log's lines come to; a program that is started again measures nothing twice; the audit log is held
 * against the head that the TPM was given; and where the policy requires a TPM that is not there, no guest starts.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, fileInside, insideOverlay, killProgram, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  guestProcessesEver,
  Home,
  imageOf,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import { outerTpm } from "./outer_tpm.ts";

/** A policy that requires it. */
async function requiring(): Promise<string> {
  const policy = (await defaultPolicy()).replace(
    /^version = 0$/mu,
    'version = 0\nsecurity.measure = "required"',
  );
  assert.match(policy, /measure = "required"/u);
  return policy;
}

const diskWith = async (policy: string, home: Home) =>
  dataDisk(home, { ...guestFiles(GUEST, home), ...await signedPolicy(policy) });

const hash = (...parts: Uint8Array[]) => {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return Uint8Array.from(sum.digest());
};

/** What each PCR is by the lines that say so. */
function saidOf(run: BootRun): Map<number, string> {
  const values = new Map<number, Uint8Array>();
  for (const { event } of run.lines) {
    const [, pcr, digest] = /^RAYOS_MEASURED:(\d+):([0-9a-f]{64})$/u.exec(event) ?? [];
    if (pcr === undefined || digest === undefined) continue;
    const before = values.get(Number(pcr)) ?? new Uint8Array(32);
    values.set(Number(pcr), hash(before, Uint8Array.fromHex(digest)));
  }
  return new Map([...values].map(([pcr, value]) => [pcr, value.toHex()]));
}

/** What each PCR is by the kernel's word. */
async function foundOn(run: BootRun): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const pcr of [11, 12, 13]) {
    const path = `/sys/class/tpm/tpm0/pcr-sha256/${pcr}`;
    const text = new TextDecoder().decode(await fileInside(run, path));
    found.set(pcr, text.trim().toLowerCase());
  }
  return found;
}

async function verified(run: BootRun): Promise<{ code: number; report: { anchor: string } }> {
  const { code, output } = await rayInside(run, "audit verify --json");
  return { code, report: JSON.parse(output) };
}

const whats = (run: BootRun, from = 0) =>
  run.lines.slice(from).flatMap((line) =>
    line.event.startsWith("RAYOS_MEASURED:") ? [String(line.fields["what"])] : []
  );

fullTest("a boot is measured into the TPM, once, and its audit log is anchored there", async () => {
  await using home = await Home.make();
  await using tpm = await outerTpm(home, await imageOf("compiled"));
  const policy = await requiring();
  const disk = await diskWith(policy, home);
  await using run = await startMachine({
    disks: [{ path: disk }],
    ...tpm.machine,
    overlay: await insideOverlay(),
  });
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`, 240_000);
    await run.waitFor(/RAYOS_MEASURED:13:/u);
    assert.deepEqual(whats(run), ["release", "policy", "registry", "audit"]);
    const measured = (what: string) =>
      run.lines.find((line) => line.fields["what"] === what)?.event.split(":")[2];
    assert.equal(measured("policy"), hash(new TextEncoder().encode(policy)).toHex());
    assert.deepEqual(await foundOn(run), saidOf(run));
    const good = await verified(run);
    assert.deepEqual([good.code, good.report.anchor], [0, "tpm"]);
    // The program is killed and measures nothing again but the log's new end.
    const from = await killProgram(run);
    await run.waitFor(/RAYOS_MEASURED:13:/u, 60_000, from);
    assert.deepEqual(whats(run, from), ["audit"]);
    assert.deepEqual(await foundOn(run), saidOf(run));
    assert.equal((await verified(run)).report.anchor, "tpm");
    // Somebody else extends the audit log's PCR: what it was given is worth nothing from here on.
    const extend =
      "\\200\\002\\0\\0\\0\\101\\0\\0\\001\\202\\0\\0\\0\\015\\0\\0\\0\\011\\100\\0\\0\\011\\0\\0\\0\\0\\0\\0\\0\\0\\001\\0\\013";
    const zeros = "\\0".repeat(32);
    await askInside(
      run,
      `do exec 5<>/dev/tpm0; $bb printf '${extend}${zeros}' >&5; $bb head -c 10 <&5 > /dev/null; exec 5>&-`,
      /inside done/u,
    );
    const { code, output } = await rayInside(run, "audit verify");
    assert.equal(code, 1, output);
    assert.match(output, /BAD: audit\.tpm at the log: TPM: PCR 13 is not what this boot made it/u);
    assertEndedInOrder(await finish(run));
  });
  assertClean(disk);
});

fullTest("without a TPM no guest starts where the policy requires one", async () => {
  await using home = await Home.make();
  const policy = await requiring();
  const disk = await diskWith(policy, home);
  await using run = await startMachine({ disks: [{ path: disk }] });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=safe");
    assert.ok(run.lines.some((line) => line.event === "RAYOS_SAFE_MODE:measure.no_tpm"));
    await run.waitForConsole(/\* measure\.no_tpm: guests: no TPM, and the policy requires/u);
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assert.equal(guestProcessesEver(boot.lines), 0);
  });
});
