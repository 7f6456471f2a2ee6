import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { FakeTpm } from "../measure/fake_tpm.ts";
import { ACCOUNT_FILE, TPM_NODE } from "../measure/measuring.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import { readToml } from "../policy/toml.ts";
import type { VmId } from "../id.ts";
import type { Runtime } from "../runtime.ts";
import { AUDIT_FOLDER, AUDIT_KEY_FILE, openAudit } from "./audit.ts";
import { auditOperations } from "./audit_commands.ts";
import { measureHead, measurePolicy, phaseMeasure } from "./measure.ts";

const SHA = "ab".repeat(32);

/** A boot under a policy that says so of measuring. */
function boot(measure: string, tpm: FakeTpm | null = null): { runtime: Runtime; host: FakeHost } {
  const host = new FakeHost();
  if (tpm !== null) {
    host.seed(TPM_NODE, "");
    host.seed("/etc/rayos/build.json", "{}");
    host.tpm = tpm.answer;
  }
  const runtime = fakeRuntime(host);
  force(runtime, measure, SHA);
  return { runtime, host };
}

function force(runtime: Runtime, measure: string, sha256: string): void {
  const document = { version: 0, security: { measure } };
  const toml = readToml(new TextEncoder().encode("version = 0\n"));
  assert.ok(toml.ok);
  const policy = resolvePolicy(policySchema.parse(document));
  runtime.inForce = { policy, toml: toml.document, sha256, keyId: null };
}

Deno.test("phaseMeasure lets a boot without a TPM go on, but where the policy requires one", async () => {
  for (const measure of ["if_available", "off"]) {
    const { runtime } = boot(measure);
    await phaseMeasure(runtime);
    assert.equal(runtime.measured, false);
    assert.equal(runtime.state().measured, false);
  }
  const { runtime } = boot("required");
  await assert.rejects(phaseMeasure(runtime), { code: "measure.no_tpm" });
});

Deno.test("phaseMeasure touches no TPM where the policy says off, and no later start measures that boot", async () => {
  const tpm = new FakeTpm();
  const { runtime, host } = boot("off", tpm);
  await phaseMeasure(runtime);
  force(runtime, "required", SHA);
  await measurePolicy(runtime);
  assert.equal(runtime.measured, false);
  assert.deepEqual(runtime.troubles.map((one) => one.code), ["measure.late"]);
  // Another start of the program in the same boot, under the new policy.
  const next = fakeRuntime(host);
  force(next, "required", SHA);
  await assert.rejects(phaseMeasure(next), { code: "measure.account" });
  assert.deepEqual(tpm.value(11), new Uint8Array(32));
});

Deno.test("a TPM that fails is a trouble of the boot, and its end where the policy requires it", async () => {
  const tpm = new FakeTpm();
  tpm.refuses = "00000922";
  const { runtime } = boot("if_available", tpm);
  await phaseMeasure(runtime);
  assert.equal(runtime.measured, false);
  assert.deepEqual(runtime.troubles.map((one) => [one.code, one.text]), [
    ["measure.tpm", "TPM: it refuses with 0x922"],
  ]);
  await assert.rejects(phaseMeasure(boot("required", tpm).runtime), { code: "measure.tpm" });
});

Deno.test("phaseMeasure measures no boot whose image does not say its name", async () => {
  const { runtime, host } = boot("required", new FakeTpm());
  host.files.delete("/etc/rayos/build.json");
  await assert.rejects(phaseMeasure(runtime), { code: "measure.release" });
});

Deno.test("measurePolicy measures each policy that came later, and says when it could not until it can", async () => {
  const tpm = new FakeTpm();
  const { runtime } = boot("required", tpm);
  await phaseMeasure(runtime);
  const values = new Set([tpm.value(11).toHex()]);
  const install = async (measure: string, sha256: string) => {
    force(runtime, measure, sha256);
    await measurePolicy(runtime);
    values.add(tpm.value(11).toHex());
  };
  // One that asks for no measuring was in force all the same.
  await install("off", "cd".repeat(32));
  await install("required", SHA);
  assert.equal(values.size, 3);
  assert.equal(runtime.measured, true);
  tpm.refuses = "00000101";
  for (let n = 0; n < 2; n++) await install("required", "ef".repeat(32));
  assert.equal(runtime.measured, false, "no guest starts from here on");
  const start = runtime.decide("console", { op: "vm.start", vm: "desk" as VmId });
  assert.ok(!start.allow);
  assert.deepEqual(runtime.troubles.map((one) => one.code), ["measure.tpm"]);
  tpm.refuses = null;
  await install("required", "ef".repeat(32));
  assert.equal(runtime.measured, true);
  assert.deepEqual(runtime.troubles, []);
  assert.equal(values.size, 4);
});

Deno.test("audit.verify rests on the TPM's head, and finds a log and a PCR that are others", async () => {
  const tpm = new FakeTpm();
  const { runtime, host } = boot("if_available", tpm);
  openAudit(runtime);
  await phaseMeasure(runtime);
  runtime.emit({ type: "safe_mode", reason: "one" });
  runtime.audit.flush();
  const verified = async (by: Runtime) => {
    const verify = new Map(auditOperations(by)).get("audit.verify");
    const outcome = await verify?.(null as never, {}, "console");
    assert.ok(outcome?.ok);
    const { anchor, ok, bad } = outcome.result as {
      anchor: string;
      ok: boolean;
      bad: { rule: string } | null;
    };
    return [anchor, ok, bad?.rule ?? null];
  };
  assert.deepEqual(await verified(runtime), ["none", true, null]);
  await measureHead(runtime, runtime.audit.log?.head ?? null);
  runtime.emit({ type: "safe_mode", reason: "two" });
  assert.deepEqual(await verified(runtime), ["tpm", true, null]);
  // A log that is whole, and older than what the TPM was given: put back with its keys.
  const kept = host.list(AUDIT_FOLDER).map((name) => `${AUDIT_FOLDER}/${name}`).concat(
    AUDIT_KEY_FILE,
  );
  const older = kept.map((path) => [path, host.read(path, 1 << 20) ?? new Uint8Array()] as const);
  runtime.emit({ type: "safe_mode", reason: "three" });
  runtime.audit.flush();
  await measureHead(runtime, runtime.audit.log?.head ?? null);
  runtime.audit.close();
  for (const [path, bytes] of older) host.seed(path, bytes);
  // A program that was started again asks the TPM, and one on a machine without has nobody to ask.
  assert.deepEqual(await verified(fakeRuntime(host)), ["none", false, "audit.truncated"]);
  tpm.extend(13, new Uint8Array(32));
  assert.deepEqual(await verified(fakeRuntime(host)), ["none", false, "audit.tpm"]);
  host.files.delete(ACCOUNT_FILE);
  assert.deepEqual(await verified(fakeRuntime(host)), ["none", true, null]);
});
