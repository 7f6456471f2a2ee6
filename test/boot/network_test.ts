/**
 * What a guest with root and a network can reach, from inside and from outside, on a real machine: each
 * address and trick is tried against the walls, and once more with the walls taken away, so that a try
 * that cannot succeed is no proof. A guest without a network has none, from inside and from outside.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import {
  inGuest,
  internetOverlay,
  networkedDisk,
  reached,
  RESOLVER,
  ROUTER,
  TWO_NICS,
  UPLINK_ADDRESS,
} from "./internet.ts";
import { askInside, fileInside, killProgram, onHost, rayInside, vmCommand } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  FULL,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { NS } from "./network/state.ts";

const GUEST = "net-0";
const OFF = "net-2";

/** What the policy lets it reach. */
const OPEN: Readonly<Record<string, string>> = {
  public: "tcp:93.184.216.34:80",
  resolver: `udp:${RESOLVER}:53`,
  allowed_private: "tcp:10.7.0.5:80",
};

/** What it must not reach: there is somebody who answers at each of them. */
const SHUT: Readonly<Record<string, string>> = {
  own_gateway: "tcp:198.19.0.1:80",
  loopback: "tcp:127.0.0.1:80",
  own_namespace: "tcp:198.18.0.2:80",
  uplink_namespace: "tcp:198.18.0.1:80",
  other_guest: "tcp:198.18.1.2:80",
  uplink_address: `tcp:${UPLINK_ADDRESS}:80`,
  uplink_router: `tcp:${ROUTER}:80`,
  uplink_router_names: `tcp:${ROUTER}:53`,
  metadata: "tcp:169.254.169.254:80",
  private_10: "tcp:10.1.2.3:80",
  private_172: "tcp:172.16.5.5:80",
  private_192: "tcp:192.168.88.1:80",
  carrier: "tcp:100.64.0.9:80",
  protocol_block: "tcp:192.0.0.9:80",
  documentation_1: "tcp:192.0.2.9:80",
  documentation_2: "tcp:198.51.100.9:80",
  documentation_3: "tcp:203.0.113.9:80",
  other_names: "udp:8.8.8.8:53",
  other_names_tcp: "tcp:8.8.8.8:53",
  other_names_tls: "tcp:8.8.8.8:853",
  resolver_tls: `tcp:${RESOLVER}:853`,
  resolver_tcp: `tcp:${RESOLVER}:53`,
};

/** From the uplink's side to the guest, while it serves. */
const INWARD: Readonly<Record<string, string>> = {
  in_by_uplink: `tcp:${UPLINK_ADDRESS}:8080`,
  in_by_route: "tcp:198.18.0.2:8080",
  in_to_uplink: `tcp:${UPLINK_ADDRESS}:80`,
  in_to_namespace: "tcp:198.18.0.2:80",
};

/**
 * A port of UDP that the guest uses: the resolver answers at it, and somebody else speaks to it. That the
 * resolver is heard is what the other is held against: what keeps the latter out is the kernel's memory of who
 * was spoken to, which does not go with the rules that the control takes away.
 */
const PORT = 40_000;
const HEARD = { in_udp_answer: true, in_udp: false } as const;
const ANYBODY = "93.184.216.34";

/** What network devices a guest sees. */
const DEVICES = "echo devices $(ls /sys/class/net) end";

const words = (targets: Readonly<Record<string, string>>) =>
  Object.entries(targets).map(([name, at]) => `${name}=${at}`).join(" ");

const nsenter = (name: string, command: string) => `/bin/busybox nsenter --net=${name} ${command}`;
const QUIET = "> /dev/null 2>&1 < /dev/null";
const nft = (rules: string) => `/usr/sbin/nft "${rules}"`;

/** Everything from the guest, and then everything towards it. */
async function tryAll(run: BootRun, mark: string): Promise<Map<string, boolean>> {
  // What is open ends when it is reached: on a slow machine it may take its time.
  const open = await inGuest(run, GUEST, `/probe try 60 ${words(OPEN)}`, `${mark}open`);
  const shut = await inGuest(run, GUEST, `/probe try 20 ${words(SHUT)}`, mark);
  await onHost(
    run,
    `${nsenter("/run/internet", `/usr/lib/probe try 6 ${words(INWARD)}`)} > /run/inward`,
  );
  const inward = new TextDecoder().decode(await fileInside(run, "/run/inward"));
  return new Map([open, shut, inward].flatMap((said) => [...reached(said)]));
}

/** Whom the guest hears at its port while it speaks to the resolver from there. */
async function heard(run: BootRun, mark: string): Promise<Map<string, boolean>> {
  const hears = `/probe hear 30 ${PORT} in_udp=udp:${RESOLVER}:53`;
  await inGuest(run, GUEST, `(${hears} > /run/heard 2>&1 < /dev/null &)`, `${mark}hears`);
  const says =
    `/usr/lib/probe say 6 ${ANYBODY} udp:${UPLINK_ADDRESS}:${PORT} udp:198.18.0.2:${PORT}`;
  await onHost(run, nsenter("/run/internet", says));
  return reached(
    await inGuest(
      run,
      GUEST,
      "until [ -s /run/heard ]; do sleep 1; done; sleep 1; cat /run/heard",
      `${mark}heard`,
    ),
  );
}

Deno.test("a guest reaches what the policy names and nothing else, and one without a network has none", async (t) => {
  await using home = await Home.make();
  const disk = await networkedDisk(home, [
    { networking: "on" },
    { networking: "on" },
    { networking: "off" },
  ]);
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await internetOverlay(home),
    memoryMiB: 3072,
    extra: TWO_NICS,
  });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal");
    for (const vm of [GUEST, "net-1"]) {
      const on = await run.waitFor(`RAYOS_NETWORK:on vm=${vm}`, 240_000);
      assert.deepEqual([on.fields["kind"], on.fields["reason"]], ["linux", "policy"]);
    }
    for (const vm of [GUEST, OFF]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
    for (const vm of [GUEST, OFF]) await askInside(run, `attach ${vm} ${vm}`, /inside done/u);
    // Somebody answers wherever the host itself could.
    for (const ns of ["00", "01", "uplink"]) {
      await onHost(
        run,
        `${nsenter(`${NS}/${ns}`, `/usr/lib/probe serve tcp:0.0.0.0:80 ${QUIET}`)} &`,
      );
    }
    await inGuest(run, GUEST, `/card; (/probe serve tcp:0.0.0.0:8080 ${QUIET} &)`, "card");

    await t.step("each of them is tried against the walls", async () => {
      const found = await tryAll(run, "walled");
      if (FULL) { for (const [name, open] of await heard(run, "walled")) found.set(name, open); }
      const expected = Object.fromEntries([
        ...Object.keys(OPEN).map((name) => [name, true]),
        ...Object.keys({ ...SHUT, ...INWARD }).map((name) => [name, false]),
        ...FULL ? Object.entries(HEARD) : [],
      ]);
      assert.deepEqual(
        Object.fromEntries([...found].sort()),
        Object.fromEntries(Object.entries(expected).sort()),
      );
    });

    await t.step("without a network there is lo and nothing else, inside and outside", async () => {
      const said = await inGuest(
        run,
        OFF,
        DEVICES,
        "looked",
      );
      assert.match(said, /^devices lo end/mu);
      const { output } = await rayInside(run, `vm plan ${OFF} --json`);
      assert.doesNotMatch(output, /netdev|pcie-root-port|virtio-net|"\/n"/u);
      // Its QEMU's own namespace, seen from the host.
      await onHost(
        run,
        "while read -r p; do read -r c < /proc/$p/comm; case $c in qemu-system*) /bin/busybox nsenter --net=/proc/$p/ns/net /usr/bin/ip -o link > /run/links ;; esac; done < /run/rayos/cg/rayos/guests/02/cgroup.procs",
      );
      const links = new TextDecoder().decode(await fileInside(run, "/run/links"));
      assert.match(links, /^1: lo: [^\n]*\n$/u);
      await onHost(run, "/usr/bin/ip -o link > /run/links");
      const own = new TextDecoder().decode(await fileInside(run, "/run/links"));
      assert.match(own, /^1: lo: [^\n]*\n$/u, "the host itself has no NIC");
    });

    await t.step({
      name: "the program is killed and finds the network as it was",
      ignore: !FULL,
      fn: async () => {
        const from = await killProgram(run);
        await run.waitFor(`vm_adopted vm=${GUEST}`, 120_000, from);
        // Whoever was attached to a console was so by the one that died.
        for (const vm of [GUEST, OFF]) await askInside(run, `attach ${vm} ${vm}`, /inside done/u);
        const { output } = await rayInside(run, "vm list --json");
        const listed = JSON.parse(output) as { vm: string; network: string }[];
        assert.deepEqual(listed.map((one) => one.network), ["on", "on", "off"]);
        assert.deepEqual(
          run.lines.slice(from).filter((line) => line.event.startsWith("RAYOS_NETWORK")),
          [],
        );
      },
    });

    await t.step({
      name: "control: with the walls taken away each of them is reached",
      // Two dozen places once more: the full test.
      ignore: !FULL,
      fn: async () => {
        for (const ns of ["00", "01"]) {
          await onHost(run, nsenter(`${NS}/${ns}`, nft("flush ruleset")));
        }
        const open = ["in", "out", "forward"].map((chain) =>
          `insert rule inet rayos ${chain} accept`
        );
        await onHost(run, nsenter(`${NS}/uplink`, nft(open.join("; "))));
        const found = await tryAll(run, "bare");
        // passt itself lets nobody in, whatever the walls say: a port is not forwarded, so no one answers.
        const passts = ["in_by_uplink", "in_by_route"];
        const shut = [...found].filter(([name, open]) => !open && !passts.includes(name)).map((
          [name],
        ) => name);
        assert.deepEqual(shut, []);
      },
    });

    await t.step("a network that is taken is gone before it is said so", async () => {
      const from = run.lines.length;
      const { code, output } = await rayInside(run, `network disable ${GUEST}`);
      assert.deepEqual([code, output.trim()], [0, `${GUEST}: network off`]);
      await run.waitFor(`RAYOS_NETWORK:off vm=${GUEST} reason=stopped`, 10_000, from);
      const said = await inGuest(
        run,
        GUEST,
        DEVICES,
        "taken",
      );
      assert.match(said, /^devices lo end/mu);
      await onHost(run, `ls ${NS} /run/rayos/cg/rayos/net > /run/left`);
      const left = new TextDecoder().decode(await fileInside(run, "/run/left"));
      assert.doesNotMatch(left, /^00$/mu);
      assert.match(left, /^01$/mu, "the other guest's stays");
    });

    await vmCommand(run, "stop", "net-1", "stopped");
    await run.waitFor("RAYOS_NETWORK:off vm=net-1 reason=stopped", 10_000);
    assertEndedInOrder(await finish(run));
  });
  assertClean(disk);
});
