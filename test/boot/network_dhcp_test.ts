/**
 * A DHCP server that lies, tried against the client on a real machine: what it says is taken over where
 * every value of it is what it should be, and then walls and way follow it; of everything else nothing is
 * left, nothing is done that its words say, and the client goes on.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { makeDataDisk } from "../../tools/boot_data.ts";
import { fileInside, insideOverlay, onHost, seenOnHost } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import {
  type Answer,
  DhcpServer,
  honest,
  type Option,
  quad,
  SERVER,
  words,
} from "./network/dhcp_server.ts";
import { processesOf, UPLINK } from "./network/state.ts";

const FACTS = "/run/rayos/uplink/u0/facts";
const GOOD = `192.168.77.50/24 ${SERVER} ${SERVER}`;
const POLICY = `version = 0
serial = 1

[profiles.one]
kind = "linux"
enabled = true
autoboot = false
networking = "on"
`;

/** Words that a shell would do something with, if one read them. */
const COMMANDS =
  "$(busybox touch /state/done);`busybox touch /state/done`|busybox touch /state/done #'\"\n/../..";
const ODD: Option[] = [
  [12, words(COMMANDS)],
  [15, words(COMMANDS)],
  [66, words("-s /state/done")],
  [67, words("../../../../etc/passwd")],
  [249, [0, ...quad("203.0.113.1")]],
  [121, [8, 10, ...quad(SERVER)]],
  [33, [...quad("8.8.8.8"), ...quad(SERVER)]],
];
const more = (answer: Answer, options: readonly Option[]): Answer => ({
  ...answer,
  options: [...answer.options, ...options],
});
const damaged = (damage: NonNullable<Answer["damage"]>): Answer => ({ ...honest(), damage });

interface Row {
  readonly name: string;
  readonly answer: Answer;
  /** What is taken over; null: nothing. */
  readonly facts: string | null;
  /** Whether the client takes it for an answer at all. */
  readonly heard?: false;
}

const bad = (name: string, answer: Answer): Row => ({ name, answer, facts: null });
const deaf = (name: string, answer: Answer): Row => ({ name, answer, facts: null, heard: false });
const good = (name: string, answer: Answer, facts = GOOD): Row => ({ name, answer, facts });

const ROWS: readonly Row[] = [
  good("an honest one", honest()),
  good("command words in its names, a route in every form, boot files", more(honest(), ODD)),
  ...[
    "198.18.0.9",
    "198.19.0.2",
    "127.0.0.1",
    "169.254.7.7",
    "224.0.0.5",
    "0.0.0.7",
    "255.255.255.255",
  ]
    .map((address) => bad(`the address ${address}`, honest({ address }))),
  bad("the network's own number for an address", honest({ address: "192.168.77.0" })),
  bad("everybody's address", honest({ address: "192.168.77.255" })),
  bad("a mask of nothing", honest({ mask: "0.0.0.0" })),
  bad("a mask of one address", honest({ mask: "255.255.255.255" })),
  bad("a router elsewhere", honest({ router: "10.66.66.1" })),
  bad("a router that is the client itself", honest({ router: "192.168.77.50" })),
  bad("a router on loopback", honest({ router: "127.0.0.1" })),
  bad("no router and no mask", { address: "192.168.77.50", options: [[51, [0, 0, 2, 88]]] }),
  good(
    "names at loopback and within the host, then a usable one",
    honest({ names: ["127.0.0.1", "198.18.0.1", "9.9.9.9"] }),
    `192.168.77.50/24 ${SERVER} 9.9.9.9`,
  ),
  good("no usable names", honest({ names: ["127.0.0.1"] }), `192.168.77.50/24 ${SERVER} none`),
  good("a lease of no time", honest({ lease: 0 })),
  good("a lease for ever", honest({ lease: 0xffff_ffff })),
  deaf(
    "more options than a message can hold",
    more(honest(), new Array(40).fill([224, words("x".repeat(250))])),
  ),
  // What stands before it is whole, and that alone is taken.
  good(
    "an option that goes on behind the end",
    damaged((text) => [...text.slice(0, -1), 12, 255, 65]),
  ),
  deaf("another cookie", damaged((text) => text.with(236, 0))),
  deaf("somebody else's number", damaged((text) => text.with(4, (text[4] ?? 0) ^ 255))),
  deaf("somebody else's hardware address", damaged((text) => text.with(28, (text[28] ?? 0) ^ 255))),
  good("an honest one again", honest()),
];

async function facts(run: BootRun): Promise<string | null> {
  const text = new TextDecoder().decode(await fileInside(run, FACTS)).trim();
  return text === "" ? null : text;
}

/** What was taken over, at the latest after so many looks half a second apart. */
async function factsWithin(run: BootRun, most: number): Promise<string | null> {
  for (let looks = 0; looks < most; looks++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (await facts(run) !== null) break;
  }
  return await facts(run);
}

/** The client itself gets it; bubblewrap's process and a script stand beside it. */
async function signalClient(run: BootRun, signal: "USR1" | "USR2"): Promise<void> {
  await onHost(
    run,
    `for p in $($bb cat /run/rayos/cg/rayos/net/u0/cgroup.procs); do case $($bb tr '\\0' ' ' < /proc/$p/cmdline) in *udhcpc*-s*) case $($bb cat /proc/$p/comm) in bwrap) ;; *) kill -${signal} $p ;; esac ;; esac; done`,
  );
}

/** Waits until the number has grown that far. */
async function until(what: () => number, least: number): Promise<void> {
  const end = performance.now() + 120_000;
  while (what() < least) {
    assert.ok(performance.now() < end, `the client asked ${what()} times, not ${least}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Has the client begin anew with that answer; gives what was taken over of it. */
async function tryOn(run: BootRun, server: DhcpServer, row: Row): Promise<string | null> {
  await signalClient(run, "USR2");
  server.answer = row.answer;
  const { offered, granted } = server;
  await signalClient(run, "USR1");
  if (row.heard === false) {
    await until(() => server.offered, offered + 2);
    assert.equal(server.granted, granted, "it asks for no such lease");
  } else await until(() => server.granted, granted + 1);
  // What is to be taken over may take its time; of what is not, so long is enough to be seen.
  return await factsWithin(run, row.facts === null ? 8 : 60);
}

/** The walls and the address, as the kernel has them. */
async function kernels(
  run: BootRun,
): Promise<{ own: string[]; addresses: string[]; ways: string[] }> {
  const text = await seenOnHost(
    run,
    `${UPLINK} /usr/sbin/nft list set inet rayos own; ${UPLINK} /usr/bin/ip -o -4 addr show dev u0; ${UPLINK} /usr/bin/ip -4 route show default`,
  );
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, one]) => one ?? "");
  return {
    own: all(/"u0" \. ([\d./]+)/gu),
    addresses: all(/inet ([\d./]+) /gu),
    ways: all(/^default via ([\d.]+) /gmu),
  };
}

fullTest(
  "a DHCP server can lie as it likes: nothing is taken over but what holds, and nothing is done by its words",
  async (t) => {
    await using home = await Home.make();
    using server = new DhcpServer(`${home.path}/cable.sock`);
    const disk = `${home.path}/data.img`;
    makeDataDisk(disk, await signedPolicy(POLICY), { sizeMiB: 64 });
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      extra: server.nic,
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal");
      await until(() => server.granted, 1);
      assert.equal(await factsWithin(run, 60), GOOD, "what it was given at boot is taken over");
      let client: string[] = [];
      for (const row of ROWS) {
        await t.step(row.name, async () => {
          assert.equal(await tryOn(run, server, row), row.facts);
          const { own, addresses, ways } = await kernels(run);
          if (row.facts === null) assert.deepEqual([addresses, ways], [[], []]);
          else {
            assert.deepEqual([own, addresses, ways], [["192.168.77.0/24"], ["192.168.77.50/24"], [
              SERVER,
            ]]);
          }
          const files = await seenOnHost(run, "ls -A /run/rayos/uplink/u0");
          assert.match(files, /^(facts\n)?(network\n)?$/u);
          if (client.length === 0) client = await processesOf(run, "u0");
        });
      }
      await t.step("a second offer with a router elsewhere changes nothing", async () => {
        const before = await kernels(run);
        server.answer = honest({ router: "10.66.66.1" });
        const { granted } = server;
        await signalClient(run, "USR1");
        await until(() => server.granted, granted + 1);
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        assert.equal(await facts(run), GOOD);
        assert.deepEqual(await kernels(run), before);
      });
      await t.step("a second offer of another network: the walls follow it", async () => {
        server.answer = honest({ address: "10.66.7.9", mask: "255.255.0.0", router: "10.66.66.1" });
        const { granted } = server;
        await signalClient(run, "USR1");
        await until(() => server.granted, granted + 1);
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        assert.equal(await facts(run), `10.66.7.9/16 10.66.66.1 ${SERVER}`);
        assert.deepEqual(await kernels(run), {
          own: ["10.66.0.0/16"],
          addresses: ["10.66.7.9/16"],
          ways: ["10.66.66.1"],
        });
      });
      assert.deepEqual(await processesOf(run, "u0"), client, "it is still the first client");
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
  },
);
