import assert from "node:assert/strict";
import {
  CPU_FAULTS,
  HARDENING,
  readHardening,
  renderHardening,
  renderSysfsShown,
  SYSFS_SHOWN,
} from "./hardening.ts";

/** A kernel in which every row holds, in the first of its places. */
function kernel(changes: Record<string, string | null> = {}): (path: string) => string | null {
  const files = new Map<string, string | null>(
    HARDENING.map((row) => [row.where[0] ?? "", `${row.wanted[0]}\n`]),
  );
  for (const [path, text] of Object.entries(changes)) files.set(path, text);
  return (path) => files.get(path) ?? null;
}

Deno.test("HARDENING names each row and each place once, and says why", () => {
  const ids = HARDENING.map((row) => row.id);
  assert.equal(new Set(ids).size, ids.length);
  const places = HARDENING.flatMap((row) => row.where);
  assert.equal(new Set(places).size, places.length);
  for (const row of HARDENING) {
    assert.ok(row.what !== "" && row.reason !== "" && row.wanted.length > 0, row.id);
    assert.ok(row.where.every((path) => /^\/(proc\/sys|sys)\/[a-z0-9_/-]+$/.test(path)), row.id);
  }
});

Deno.test("renderHardening has a line for each row of stage 0's, and forbids modules at the very end", () => {
  const lines = renderHardening().trimEnd().split("\n");
  assert.equal(lines.length, HARDENING.filter((row) => row.by === "stage 0").length);
  // `read -r path value` of stage 0 takes a path and what follows it.
  assert.ok(lines.every((line) => /^\/proc\/sys\/\S+ [0-9a-z/]+$/.test(line)));
  assert.equal(lines.at(-1), "/proc/sys/kernel/modules_disabled 1");
  assert.ok(lines.includes("/proc/sys/kernel/kexec_load_disabled 1"));
});

Deno.test("renderSysfsShown lists the folders of the rows below /sys and the screen's, and nothing above them", () => {
  assert.deepEqual(SYSFS_SHOWN, [
    "/sys/module/kvm_amd/parameters",
    "/sys/module/kvm_intel/parameters",
    "/sys/kernel/mm/ksm",
    CPU_FAULTS,
    "/sys/class/graphics/fb0",
  ]);
  assert.equal(renderSysfsShown(), SYSFS_SHOWN.map((path) => `${path}\n`).join(""));
});

Deno.test("readHardening holds where the kernel says what is wanted", () => {
  const rows = readHardening(kernel());
  assert.deepEqual(rows.map((row) => row.id), HARDENING.map((row) => row.id));
  assert.deepEqual(rows.filter((row) => !row.holds), []);
});

for (const row of HARDENING) {
  Deno.test(`readHardening says that ${row.id} does not hold when that alone is another`, () => {
    const place = row.where[0] ?? "";
    const wrong = (text: string | null) =>
      readHardening(kernel({ [place]: text })).filter((one) => !one.holds).map((one) => one.id);
    assert.deepEqual(wrong("7\n"), [row.id]);
    assert.deepEqual(wrong(""), [row.id]);
    assert.deepEqual(wrong(null), row.mayLack === true ? [] : [row.id]);
  });
}

Deno.test("readHardening looks at a row's second place where the first is not there", () => {
  const [amd, intel] = ["amd", "intel"].map((cpu) => `/sys/module/kvm_${cpu}/parameters/nested`);
  const of = (text: string) =>
    readHardening(kernel({ [amd!]: null, [intel!]: text })).find((row) => row.id === "nested");
  assert.equal(of("N\n")?.holds, true);
  assert.deepEqual([of("Y\n")?.holds, of("Y\n")?.where, of("Y\n")?.found], [false, intel, "Y"]);
});
