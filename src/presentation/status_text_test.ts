import assert from "node:assert/strict";
import { renderGuests, renderNetwork, renderStatus } from "./status_text.ts";

const GUEST = {
  vm: "demo",
  kind: "linux",
  slot: 0,
  state: "running",
  agent: true,
  emulated: false,
  memory_mib: 256,
  violations: [],
};
const STATUS = {
  version: "0.1.0",
  boot_id: "b",
  start: 1,
  mode: "safe",
  ready: true,
  uptime_ms: 12_345,
  data: "/dev/vda",
  virtualization: "kvm",
  policy: null,
  troubles: [{ code: "sig.mismatch", text: "found \u001b[2J", hint: "sign again" }],
  guests: [GUEST, { vm: "broken", state: "failed", violations: ["path.missing"] }],
};

Deno.test("renderStatus says mode, trouble with its mend, and guests, escaping the terminal's", () => {
  const text = renderStatus(STATUS);
  assert.match(text, /^mode {11}safe\n/);
  assert.match(text, /! sig\.mismatch: found \\u001b\[2J\n {2}-> sign again\n/);
  assert.match(text, /demo +linux +0 +running +ready +- +256 MiB/);
  assert.match(text, /broken +- +- +failed .*path\.missing/);
  assert.ok(text.split("\n").every((line) => line.length <= 80), text);
});

Deno.test("renderStatus and renderGuests say so when the host answers in another shape", () => {
  assert.match(renderStatus({}), /another shape/);
  assert.match(renderGuests([{ vm: 1 }]), /another shape/);
  assert.equal(renderGuests([]), "no guests\n");
});

Deno.test("renderStatus says which guest can be shown, or started, where nothing is wrong", () => {
  const shown = { ...GUEST, screen: true };
  const advice = (mode: string, ...guests: readonly Record<string, unknown>[]) =>
    renderStatus({ ...STATUS, mode, troubles: [], guests }).match(/^-> .*$/gmu) ?? [];
  assert.deepEqual(advice("normal", GUEST, shown), [
    "-> ray present demo shows that guest; in the shell here: present demo",
  ]);
  assert.deepEqual(advice("normal", { ...shown, state: "stopped" }), [
    "-> ray vm start demo starts that guest, which has a screen",
  ]);
  // Nobody to show, somebody shown already, or a host that shows nobody.
  assert.deepEqual(advice("normal", GUEST), []);
  assert.deepEqual(advice("normal", { ...shown, presented: true }), []);
  assert.deepEqual(advice("safe", shown), []);
});

Deno.test("renderStatus says how long a guest still has its network", () => {
  const guest = { ...GUEST, network: "on", lease_left_s: 90 };
  assert.match(renderStatus({ ...STATUS, guests: [guest] }), / on, 90 s left /u);
});

Deno.test("renderStatus says how the recovery shell is had at the host's own screen, where there is one to show it", () => {
  const advice = (more: Record<string, unknown>) =>
    renderStatus({ ...STATUS, attention: "ctrl+alt+end", ...more }).match(/^-> .*$/gmu) ?? [];
  assert.deepEqual(advice({ host_screen: "status" }), [
    "-> ctrl+alt+end at this host, then type recovery and Enter: the recovery shell",
  ]);
  assert.deepEqual(advice({ host_screen: "asked" }), [
    "-> type recovery and Enter for the recovery shell",
  ]);
  const presented = [{ ...GUEST, presented: true }];
  for (
    const more of [{}, { host_screen: null }, { host_screen: "shell" }, {
      host_screen: "status",
      guests: presented,
    }]
  ) assert.deepEqual(advice(more), []);
});

Deno.test("renderStatus says what crashed last and when, with the command that shows its report", () => {
  const crashed = {
    boot: "99999999-2222-3333-4444-555555555555",
    n: 1,
    cause: "not_ready",
    phase: "virtualization",
    time: "2026-11-24T12:00:00.000Z",
    this_boot: true,
  };
  const text = renderStatus({ ...STATUS, crashed });
  assert.match(text, /^crash {10}not_ready in this boot, 2026-\S+\n {2}-> crash show 99999999\n/mu);
  assert.ok(text.split("\n").every((line) => line.length <= 80), text);
  const unread = { ...crashed, n: 3, cause: null, phase: null, time: null, this_boot: false };
  assert.match(
    renderStatus({ ...STATUS, crashed: unread }),
    /cannot be read in the last boot.*\n.* 99999999 3\n/u,
  );
  assert.doesNotMatch(renderStatus({ ...STATUS, crashed: null }), /crash/u);
});

Deno.test("renderNetwork says of each NIC whether it is up, and of each guest what it has, escaped", () => {
  const uplinks = [
    { nic: "u0", state: "up" },
    { nic: "u1", state: "network.no_nic" },
    { nic: "u2", state: "no_address" },
    { nic: "u3\u001b[2J", state: "another" },
  ];
  const guests = [
    { ...GUEST, network: "on" },
    { ...GUEST, vm: "new", network: "lease", lease_left_s: 90 },
    { ...GUEST, vm: "slot-05", network: "left", stranger: true },
    { ...GUEST, vm: "dark", network: "off" },
  ];
  const text = renderNetwork({ uplinks, guests });
  for (
    const line of [
      /^u0 +up: it has an address$/mu,
      /^u1 +the NIC is gone/mu,
      /^u2 +no DHCP server/mu,
      /^u3\\u001b\[2J +another$/mu,
      /^demo +on$/mu,
      /^new +lease, 90 s left$/mu,
      /^slot-05 +what an earlier start gave it is there$/mu,
      /^dark +off$/mu,
    ]
  ) assert.match(text, line);
  assert.match(renderNetwork({ uplinks: [], guests: [] }), /^none +no NIC.*\n.*\nnone\n/mu);
  assert.match(renderNetwork({ guests: [] }), /another shape/u);
});
