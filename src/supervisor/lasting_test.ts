import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { DataPath } from "../data_path.ts";
import { sampleNvram } from "../plan/sample_nvram.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { TPM_STATE } from "../plan/device.ts";
import { COPIES, keepNewTpm, readyFiles } from "./lasting.ts";

const GUEST = "/var/rayos/vm/windows/demo";
const NVRAM = `${GUEST}/ovmf_vars.fd`;
const STATE = `${GUEST}/tpm/${TPM_STATE}`;
const TEMPLATE = "/etc/rayos/firmware/OVMF_VARS_4M.fd";

const plan = samplePlan({
  kind: "windows",
  files: [
    { access: "rw", path: "vm/windows/demo/disk" as DataPath, name: "disk0" },
    { access: "rw", path: "vm/windows/demo/ovmf_vars.fd" as DataPath, name: "nvram" },
  ],
  devices: [{ device: "firmware", secureBoot: false }, { device: "vtpm" }],
  tpm: { uid: 62000, stateDir: "vm/windows/demo/tpm" as DataPath, seccomp: "" },
});

function newGuest(): FakeHost {
  const host = new FakeHost();
  host.seed(TEMPLATE, sampleNvram());
  host.seed(`${GUEST}/disk`, "disk");
  return host;
}

/** A guest that was started once, and whose TPM was made then. */
function knownGuest(): FakeHost {
  const host = newGuest();
  assert.deepEqual(rules(host), []);
  host.seed(STATE, "tpm 1");
  keepNewTpm(host, plan);
  return host;
}

const rules = (host: FakeHost) => readyFiles(host, plan).issues.map((one) => one.rule);
const text = (host: FakeHost, path: string) => host.readText(path, 1 << 24);
const copies = (host: FakeHost, name: string) =>
  [...host.files.keys()].filter((path) => path.startsWith(`${GUEST}/backup/${name}.`)).sort();

Deno.test("readyFiles makes a new guest's variables from the image's, its folder of TPM state, and no state", () => {
  const host = newGuest();
  assert.deepEqual(rules(host), []);
  assert.deepEqual(host.files.get(NVRAM), sampleNvram());
  assert.ok(host.directories.has(`${GUEST}/tpm`));
  assert.equal(host.files.get(STATE), undefined);
});

Deno.test("readyFiles gives a new guest with Secure Boot the image's variables with keys", () => {
  const host = newGuest();
  const keys = sampleNvram();
  keys.fill(1, 0x200, 0x300);
  host.seed("/etc/rayos/firmware/OVMF_VARS_4M.ms.fd", keys);
  const secure = samplePlan({ ...plan, devices: [{ device: "firmware", secureBoot: true }] });
  assert.deepEqual(readyFiles(host, secure).issues, []);
  assert.deepEqual(host.files.get(NVRAM), keys);
});

Deno.test("readyFiles leaves variables and TPM state as they are, whatever the image has", () => {
  const host = knownGuest();
  const used = sampleNvram();
  used.fill(7, 0x100);
  host.seed(NVRAM, used);
  assert.deepEqual(rules(host), []);
  assert.deepEqual(host.files.get(NVRAM), used);
  assert.equal(text(host, STATE), "tpm 1");
});

Deno.test("readyFiles refuses damaged variables and leaves them, and makes no copy of them", () => {
  const host = knownGuest();
  const before = copies(host, "ovmf_vars.fd");
  for (const size of [0, 1000, 4 * 1024 * 1024]) {
    host.seed(NVRAM, new Uint8Array(size));
    assert.deepEqual(rules(host), ["vm.nvram_damaged"]);
    assert.equal(host.files.get(NVRAM)?.length, size);
  }
  host.seed(NVRAM, sampleNvram().fill(0, 0, 64));
  assert.deepEqual(rules(host), ["vm.nvram_damaged"]);
  assert.deepEqual(copies(host, "ovmf_vars.fd"), before);
});

Deno.test("readyFiles refuses variables or a TPM that are gone, and makes neither a second time", () => {
  const host = knownGuest();
  host.files.delete(NVRAM);
  host.files.delete(STATE);
  assert.deepEqual(rules(host).slice(0, 2), ["vm.nvram_missing", "vm.tpm_missing"]);
  assert.equal(host.files.get(NVRAM), undefined);
  host.directories.delete(`${GUEST}/tpm`);
  assert.ok(rules(host).includes("vm.tpm_missing"));
  assert.ok(!host.directories.has(`${GUEST}/tpm`));
});

Deno.test("readyFiles refuses a TPM state that is empty, too large or no file", () => {
  for (
    const [bytes, facts] of [["", {}], ["x".repeat(1024 * 1024 + 1), {}], [
      "tpm",
      { type: "symlink" },
    ]] as const
  ) {
    const host = knownGuest();
    host.seed(STATE, bytes);
    host.facts.set(STATE, facts);
    assert.deepEqual(rules(host), ["vm.tpm_damaged"]);
  }
});

Deno.test("readyFiles refuses a TPM's folder that is another slot's", () => {
  const host = knownGuest();
  host.facts.set(`${GUEST}/tpm`, { uid: 62001 });
  assert.deepEqual(rules(host), ["path.owner"]);
});

Deno.test(`a copy is kept before each start that finds something new, and the last ${COPIES} of them`, () => {
  const host = knownGuest();
  assert.deepEqual(copies(host, TPM_STATE), [`${GUEST}/backup/${TPM_STATE}.1`]);
  for (let n = 2; n <= 8; n++) {
    host.seed(STATE, `tpm ${n}`);
    assert.deepEqual(rules(host), []);
    // A restart that finds the same makes none.
    assert.deepEqual(rules(host), []);
  }
  const kept = copies(host, TPM_STATE);
  assert.deepEqual(kept, [4, 5, 6, 7, 8].map((n) => `${GUEST}/backup/${TPM_STATE}.${n}`));
  assert.deepEqual(kept.map((path) => text(host, path)), [4, 5, 6, 7, 8].map((n) => `tpm ${n}`));
});

Deno.test("keepNewTpm keeps a first copy, and no second one", () => {
  const host = knownGuest();
  host.seed(STATE, "tpm 2");
  keepNewTpm(host, plan);
  assert.deepEqual(copies(host, TPM_STATE).map((path) => text(host, path)), ["tpm 1"]);
});
