import assert from "node:assert/strict";
import { QEMU_CALLS } from "./qemu.ts";
import { QEMU_SHARED_CALLS } from "./qemu_shared.ts";

Deno.test("QEMU_SHARED_CALLS allows QEMU's calls, memory in a file, its size and its seal, and no more", () => {
  const names = (of: typeof QEMU_CALLS) => new Set(of.allowed.map((call) => call.name));
  const own = names(QEMU_CALLS);
  const more = [...names(QEMU_SHARED_CALLS)].filter((name) => !own.has(name));
  assert.deepEqual(more, ["memfd_create", "ftruncate"]);
  assert.deepEqual([...own].filter((name) => !names(QEMU_SHARED_CALLS).has(name)), []);
  for (const call of QEMU_SHARED_CALLS.allowed) {
    const before = QEMU_CALLS.allowed.find((one) => one.name === call.name);
    const tests = (call.when?.length ?? 0) - (before?.when?.length ?? 0);
    assert.equal(tests, call.name === "fcntl" || call.name === "memfd_create" ? 1 : 0, call.name);
  }
});
