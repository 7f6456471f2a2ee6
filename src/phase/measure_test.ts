import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { FakeTpm } from "../measure/fake_tpm.ts";
import { ACCOUNT_FILE, TPM_NODE } from "../measure/measuring.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import { readToml } from "../policy/toml.ts";
import type { Runtime } from "../runtime.ts";
import { AUDIT_FOLDER, openAudit } from "./audit.ts";
import { auditOperations } from "./audit_commands.ts";
import { measureHead, measurePolicy, phaseMeasure } from "./measure.ts";

const SHA = "ab".repeat(32);

/** A boot under a policy that says so of measuring. */
function boot(measure: string, tpm: FakeTpm | null = null): { runtime: Runtime; host: FakeHost } {
  const host = new FakeHost();
  if (tpm !== null) {
    host.seed(TPM_NODE, "");
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

Deno.test("phaseMeasure touches no TPM where the policy says off", async () => {
  const tpm = new FakeTpm();
  tpm.refuses = "00000922";
  const { runtime, host } = boot("off", tpm);
  await phaseMeasure(runtime);
  assert.equal(host.files.has(ACCOUNT_FILE), false);
});

Deno.test("a TPM that fails is a trouble of the boot, and its end where the policy requires it", async () => {
  const tpm = new FakeTpm();
  tpm.refuses = "00000922";
  const { runtime } = boot("if_available", tpm);
  await phaseMeasure(runtime);
  assert.equal(runtime.measured, false);
  assert.deepEqual(runtime.troubles.map((one) => one.code), ["measure.tpm"]);
  await assert.rejects(phaseMeasure(boot("required", tpm).runtime), { code: "measure.tpm" });
});

Deno.test("measurePolicy measures a policy that came later, and says when it could not", async () => {
  const tpm = new FakeTpm();
  const { runtime } = boot("required", tpm);
  await phaseMeasure(runtime);
  assert.equal(runtime.measured, true);
  const before = tpm.value(11).toHex();
  force(runtime, "required", "cd".repeat(32));
  await measurePolicy(runtime);
  assert.notEqual(tpm.value(11).toHex(), before);
  assert.equal(runtime.measured, true);
  tpm.refuses = "00000101";
  force(runtime, "required", "ef".repeat(32));
  await measurePolicy(runtime);
  assert.equal(runtime.measured, false, "no guest starts from here on");
  // One that was not measured at its start cannot be so later.
  const late = boot("off", new FakeTpm());
  await phaseMeasure(late.runtime);
  force(late.runtime, "required", SHA);
  await measurePolicy(late.runtime);
  assert.equal(late.runtime.measured, false);
});

Deno.test("audit.verify rests on the TPM's head, and finds a log and a PCR that are others", async () => {
  const tpm = new FakeTpm();
  const { runtime, host } = boot("if_available", tpm);
  openAudit(runtime);
  await phaseMeasure(runtime);
  runtime.emit({ type: "safe_mode", reason: "one" });
  runtime.audit.flush();
  const verify = new Map(auditOperations(runtime)).get("audit.verify");
  const verified = async () => {
    const outcome = await verify?.(null as never, {}, "console");
    assert.ok(outcome?.ok);
    const { anchor, ok, bad } = outcome.result as {
      anchor: string;
      ok: boolean;
      bad: { rule: string } | null;
    };
    return [anchor, ok, bad?.rule ?? null];
  };
  assert.deepEqual(await verified(), ["none", true, null]);
  await measureHead(runtime, runtime.audit.log?.head ?? null);
  runtime.emit({ type: "safe_mode", reason: "two" });
  assert.deepEqual(await verified(), ["tpm", true, null]);
  const [name = ""] = host.list(AUDIT_FOLDER);
  const file = `${AUDIT_FOLDER}/${name}`;
  const log = host.readText(file, 1 << 20) ?? "";
  host.seed(file, log.replace("SAFE_MODE:one", "SAFE_MODE:uno"));
  assert.equal((await verified())[1], false);
  host.seed(file, log);
  tpm.extend(13, new Uint8Array(32));
  assert.deepEqual(await verified(), ["none", false, "audit.tpm"]);
});
