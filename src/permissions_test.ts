import assert from "node:assert/strict";
import { allSlots, socketPath } from "./id.ts";
import {
  declaredSockets,
  GRANTS,
  LAUNCHERS,
  permissionFlags,
  renderGrants,
} from "./permissions.ts";

Deno.test("permissionFlags grant lists only, never all of anything, and never prompt", () => {
  for (const unixNet of [true, false]) {
    const flags = permissionFlags(unixNet);
    assert.ok(flags.includes("--no-prompt"));
    for (const flag of flags) {
      assert.doesNotMatch(flag, /^(-A|--allow-all|--allow-ffi|--allow-import)/);
      // Of the machine's facts this one alone.
      if (flag.startsWith("--allow-sys")) assert.equal(flag, "--allow-sys=statfs");
      assert.doesNotMatch(flag, /^--allow-[a-z]+=?$/, "a flag without a list grants all");
    }
  }
});

Deno.test("permissionFlags let nothing be run but the launchers", () => {
  const run = permissionFlags(true).filter((flag) => flag.startsWith("--allow-run"));
  assert.deepEqual(run, [
    `--allow-run=${LAUNCHERS.map((name) => `/usr/lib/rayos/${name}`).join(",")}`,
  ]);
});

Deno.test("permissionFlags name unix sockets one by one, or not at all on older runtimes", () => {
  const net = permissionFlags(true).find((flag) => flag.startsWith("--allow-net=")) ?? "";
  const entries = net.slice("--allow-net=".length).split(",");
  assert.deepEqual(entries, declaredSockets().map((path) => `unix:${path}`));
  assert.ok(entries.every((entry) => entry.startsWith("unix:/run/rayos/")));
  assert.ok(!permissionFlags(false).some((flag) => flag.startsWith("--allow-net")));
});

Deno.test("declaredSockets has every socket of every slot once", () => {
  const sockets = declaredSockets();
  assert.equal(new Set(sockets).size, sockets.length);
  for (const slot of allSlots()) assert.ok(sockets.includes(socketPath(slot, "qmp")));
});

Deno.test("no grant reaches the kernel's own file systems or the whole root", () => {
  for (const { kind, what } of GRANTS) {
    for (const path of what) {
      if (kind === "env" || kind === "sys") continue;
      assert.doesNotMatch(path, /^(unix:)?\/(proc|sys|dev|bin|tmp|usr\/bin)?(\/|$)(?!.*rayos)/);
      assert.notEqual(path, "/");
    }
  }
  assert.equal(renderGrants().split("\n").length, GRANTS.length + 2);
  assert.match(renderGrants(), /\| run \| 10 programs, /);
  assert.match(renderGrants(), /\| net \| \d+ sockets, /);
});
