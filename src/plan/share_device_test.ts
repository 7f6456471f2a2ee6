import assert from "node:assert/strict";
import fc from "fast-check";
import type { DataPath } from "../data_path.ts";
import { jailSpec } from "../jail/spec.ts";
import { renderPlan } from "../jail/render.ts";
import { deviceOptions } from "./device.ts";
import type { LaunchPlan } from "./launch_plan.ts";
import { samplePlan } from "./sample_plan.ts";

const shares = (count: number): LaunchPlan["shares"] =>
  Array.from({ length: count }, (_, n) => ({
    tag: `t${n}`,
    path: `vm/linux/demo/s${n}` as DataPath,
    readOnly: true,
    quotaMib: 64,
  }));

Deno.test("a guest without shares has no memory in a file, no port for one and no place for sockets", () => {
  const plan = samplePlan();
  assert.doesNotMatch(plan.argv.join(" "), /memfd|memory-backend|port-share|virtiofs|vhost/);
  assert.ok(!jailSpec(plan).mounts.some((mount) => mount.place === "/v"));
  assert.equal(jailSpec(plan).fileBytes, undefined);
  assert.doesNotMatch(renderPlan(plan), /^shares/m);
});

Deno.test("a plan names no other end of a share: that comes once who serves it was read back", () => {
  const plan = samplePlan({
    devices: [{ device: "shared-memory", memoryMiB: 256 }, { device: "share-port", share: 0 }],
    shares: shares(1),
  });
  assert.doesNotMatch(plan.argv.join(" "), /vhost|fs\.sock/);
  assert.match(plan.argv.join(" "), /"size":268435456,"share":true/);
  assert.match(renderPlan(plan), /^shares 1$/m);
  const place = jailSpec(plan).mounts.find((mount) => mount.place === "/v");
  assert.deepEqual(place, { place: "/v", root: "/00", access: "ro", of: "tmpfs" });
});

Deno.test("sixteen shares have sixteen ports of their own, and none is the network's or a disk's", () => {
  const ports = Array.from({ length: 16 }, (_, share) => {
    const [, json = ""] = deviceOptions({ device: "share-port", share })[0] ?? [];
    return JSON.parse(json) as { id: string; slot: number; addr: string };
  });
  for (const field of ["id", "slot", "addr"] as const) {
    assert.equal(new Set(ports.map((port) => port[field])).size, 16, field);
  }
  assert.ok(ports.every((port) => port.slot !== 1 && /^0x1[12]\.[0-7]$/.test(port.addr)));
});

Deno.test("no text of a share's comes into QEMU's arguments or the jail's plan", () => {
  fc.assert(fc.property(fc.stringMatching(/^[A-Za-z0-9._-]{1,36}$/), (tag) => {
    const [one] = shares(1);
    assert.ok(one !== undefined);
    const devices = [{ device: "share-port", share: 0 }] as const;
    const with_ = (name: string) => samplePlan({ devices, shares: [{ ...one, tag: name }] });
    assert.deepEqual(with_(tag).argv, with_("other").argv);
    assert.equal(renderPlan(with_(tag)), renderPlan(with_("other")));
  }));
});
