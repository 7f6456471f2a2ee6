import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { Fault } from "../fault.ts";
import { readOnDesk } from "../policy/parse.ts";
import { limitAll } from "./plan.ts";

const GUESTS = "/run/rayos/cg/rayos/guests";

/** A machine of two CPUs whose policy lets three guests have half of it. */
function halved() {
  const host = new FakeHost();
  const runtime = fakeRuntime(host);
  const facts = { ...runtime.facts, cpus: 2, memoryMiB: 3072, kvm: true };
  const text = "version = 0\nlimits.vms = 3\nlimits.cpu_percent = 50\nlimits.mem_mib = 1024\n";
  const { policy } = readOnDesk(new TextEncoder().encode(text));
  assert.ok(policy !== null);
  return { host, policy, runtime: Object.assign(runtime, { facts }) };
}

Deno.test("limitAll gives all guests together what the policy says of CPU and memory, and as many processes as they need", () => {
  const { host, policy, runtime } = halved();
  limitAll(runtime, policy);
  const of = (name: string) => host.readText(`${GUESTS}/${name}`, 64);
  assert.equal(of("cpu.max"), "100000 100000");
  const beside = Number(of("memory.max")) / 1024 / 1024 - 1024;
  assert.ok(beside > 0 && beside < 3 * 512, `${beside} MiB for QEMU itself`);
  assert.ok(Number(of("pids.max")) % 3 === 0);
});

Deno.test("limitAll ends the phase where the kernel does not take one of them", () => {
  for (const name of ["cpu.max", "memory.max", "pids.max"]) {
    const { host, policy, runtime } = halved();
    const { put } = host;
    host.put = (path, text) => {
      put.call(host, path, path.endsWith(`/${name}`) ? "max\n" : text);
    };
    assert.throws(
      () => limitAll(runtime, policy),
      (error) => error instanceof Fault && error.code === "plan.limits",
      name,
    );
  }
});
