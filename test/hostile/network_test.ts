/**
 * The network's launcher and the DHCP client's script, asked as a mistaken program or a hostile server
 * would: what does not hold is refused before anything is made, and changes nothing.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { PASST_FILTER } from "../../src/seccomp/passt.ts";
import { filterHash } from "../../src/seccomp/filter.ts";
import { BUSYBOX, ignore } from "./launcher_root.ts";

const LAUNCHERS = new URL("../../initramfs/skeleton/usr/lib/rayos/", import.meta.url).pathname;

interface Root {
  readonly at: (name: string) => string;
  /** Runs a program of the root with that environment; gives its output and exit code. */
  readonly run: (words: readonly string[], env?: Record<string, string>) => [string, number];
}

function withRoot(work: (root: Root) => void): void {
  const dir = fs.mkdtempSync("/tmp/rayos-network-");
  const at = (name: string) => path.join(dir, name);
  try {
    const folders = ["usr/bin", "usr/sbin", "usr/lib/rayos/seccomp", "proc", "dev", "state", "bin"];
    const run = [
      "run/rayos/plan",
      "run/rayos/netns",
      "run/rayos/n",
      "run/rayos/cg",
      "run/rayos/err",
    ];
    for (const one of [...folders, ...run]) fs.mkdirSync(at(one), { recursive: true });
    for (const one of ["bin", "usr/bin"]) fs.copyFileSync(BUSYBOX, at(`${one}/busybox`));
    fs.copyFileSync(`${LAUNCHERS}/net`, at("usr/lib/rayos/net"));
    fs.copyFileSync(`${LAUNCHERS}/root/dhcp/usr/lib/bound`, at("usr/lib/bound"));
    fs.writeFileSync(at("usr/lib/rayos/seccomp/passt.bpf"), PASST_FILTER);
    fs.writeFileSync(at("usr/sbin/nft"), '#!/bin/busybox sh\necho "$1" >> /state/nft\n', {
      mode: 0o755,
    });
    work({
      at,
      run(words, env = {}) {
        const link =
          "ip link add u0 type veth peer name far && ip link set u0 up && ip link set far up";
        const inside = `${link} && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`;
        const result = new Deno.Command("unshare", {
          args: ["--mount", "--net", "sh", "-c", inside, dir, "/bin/busybox", "sh", ...words],
          clearEnv: true,
          env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env },
          stdin: "null",
        }).outputSync();
        return [new TextDecoder().decode(result.stdout).trim(), result.code];
      },
    });
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const HASH = filterHash(PASST_FILTER);
const GOOD = `rayos-net 0\nlease 1800\nresolver 9.9.9.9\nseccomp ${HASH}\nallow 10.7.0.0/16\n`;

const PLANS: readonly [what: string, plan: string, refusal: string][] = [
  ["no plan", "", "net.version"],
  ["another version", GOOD.replace("net 0", "net 1"), "net.version"],
  ["a lease of no time", GOOD.replace("1800", "0"), "net.lease"],
  ["a lease of two days", GOOD.replace("1800", "172800"), "net.lease"],
  ["a lease with a rule in it", GOOD.replace("1800", "1800s; accept"), "net.lease"],
  ["a second lease", GOOD.replace("lease 1800", "lease 1800\nlease endless"), "net.twice"],
  ["a resolver with a rule in it", GOOD.replace("9.9.9.9", "9.9.9.9 accept"), "net.address"],
  ["a resolver out of range", GOOD.replace("9.9.9.9", "9.9.9.256"), "net.address"],
  ["a resolver in octal", GOOD.replace("9.9.9.9", "9.9.9.011"), "net.address"],
  ["loopback as allowed", GOOD.replace("10.7.0.0/16", "127.0.0.0/8"), "net.allow"],
  [
    "the host's own addresses as allowed",
    GOOD.replace("10.7.0.0/16", "198.18.0.0/15"),
    "net.allow",
  ],
  ...["198.0.0.0/8", "198.19.5.0/24", "128.0.0.0/1", "0.0.0.0/1", "126.0.0.0/7", "1.2.3.4/5"].map(
    (network): [string, string, string] => [
      `${network} as allowed, which has some of them`,
      GOOD.replace("10.7.0.0/16", network),
      "net.allow",
    ],
  ),
  ["everything as allowed", GOOD.replace("10.7.0.0/16", "0.0.0.0/0"), "net.allow"],
  ["an allowed set with a rule in it", GOOD.replace("/16", "/16 } accept"), "net.allow"],
  ["another filter", GOOD.replace(HASH, "0".repeat(64)), "net.seccomp"],
  ["an unknown key", `${GOOD}gateway 1.2.3.4\n`, "net.key"],
  ["a value that is missing", GOOD.replace("lease 1800\n", ""), "net.missing"],
  ["a plan that was cut", GOOD.slice(0, -1), "net.truncated"],
];

Deno.test({
  name: "launcher net refuses a plan that does not hold, and goes on with one that does",
  ignore,
  fn: () =>
    withRoot(({ at, run }) => {
      const give = (plan: string) => {
        fs.writeFileSync(at("run/rayos/plan/00.net"), plan, { mode: 0o600 });
        return run(["/usr/lib/rayos/net", "give", "0"])[0];
      };
      for (const network of ["10.7.0.0/16", "198.16.0.0/15", "198.20.0.0/14", "128.0.0.0/2"]) {
        const said = give(GOOD.replace("10.7.0.0/16", network));
        assert.match(said, /^fault net\.no_uplink namespace/, `nothing stands against ${network}`);
      }
      for (const [what, plan, refusal] of PLANS) {
        assert.equal(give(plan).split(" ").slice(0, 2).join(" "), `fault ${refusal}`, what);
      }
      for (const slot of ["64", "-1", "00", "0 1", "../0", "a", ""]) {
        assert.match(
          run(["/usr/lib/rayos/net", "give", slot])[0],
          /^fault (net\.slot|usage)/,
          slot,
        );
      }
      assert.deepEqual(fs.readdirSync(at("run/rayos/netns")), []);
      assert.equal(
        run(["/usr/lib/rayos/net", "take", "0"])[0],
        "ok",
        "of nothing, nothing is left",
      );
    }),
});

const OFFER = {
  interface: "u0",
  ip: "192.168.77.50",
  mask: "24",
  router: "192.168.77.1",
  dns: "192.168.77.1 8.8.8.8",
};

const OFFERS: readonly [what: string, changes: Partial<typeof OFFER>][] = [
  ["loopback", { ip: "127.0.0.1", router: "127.0.0.2" }],
  ["an address between the host's namespaces", { ip: "198.18.0.5", router: "198.18.0.6" }],
  ["link-local", { ip: "169.254.1.1", router: "169.254.1.2" }],
  ["multicast", { ip: "224.0.0.1", router: "224.0.0.2" }],
  ["a network of the whole world", { mask: "0" }],
  ["a network of one address", { mask: "32" }],
  ["a prefix with a command in it", { mask: "24; reboot" }],
  ["the network's own number", { ip: "192.168.77.0" }],
  ["everybody's number", { ip: "192.168.77.255" }],
  ["a router elsewhere", { router: "10.0.0.1" }],
  ["a router that is the host", { router: "192.168.77.50" }],
  ["no router", { router: "" }],
  ["a command as an address", { ip: "$(reboot)" }],
  ["an address in octal", { ip: "192.168.77.050" }],
  ["an address out of range", { ip: "192.168.77.300" }],
  ["five numbers", { ip: "192.168.77.5.5" }],
  ["another interface", { interface: "lo" }],
  ["a path as an interface", { interface: "../../etc" }],
];

Deno.test({
  name: "the DHCP client's script takes a sound lease, and of one that is not sound nothing",
  ignore,
  fn: () =>
    withRoot(({ at, run }) => {
      const facts = () =>
        fs.existsSync(at("state/facts")) ? fs.readFileSync(at("state/facts"), "utf8") : "";
      const offer = (changes: Partial<typeof OFFER>, event = "bound") =>
        run(["/usr/lib/bound", event], { ...OFFER, ...changes });
      for (const [what, changes] of OFFERS) {
        offer(changes);
        assert.equal(facts(), "", what);
        assert.ok(!fs.existsSync(at("state/nft")), what);
      }
      const [said, code] = offer({});
      assert.equal(code, 0, said);
      assert.equal(facts(), "192.168.77.50/24 192.168.77.1 192.168.77.1\n");
      const added = 'add element inet rayos own { "u0" . 192.168.77.0/24 }\n';
      assert.equal(fs.readFileSync(at("state/nft"), "utf8"), added);
      // A resolver that is none is left out, and the rest holds.
      offer({ ip: "192.168.78.9", router: "192.168.78.1", dns: "127.0.0.1 $(reboot)" }, "renew");
      assert.equal(facts(), "192.168.78.9/24 192.168.78.1 none\n");
      const moved = added.replace("add", "delete") + added.replace("77", "78");
      assert.equal(fs.readFileSync(at("state/nft"), "utf8"), added + moved, "the wall follows it");
      offer({}, "deconfig");
      assert.equal(facts(), "");
    }),
});

/** Keeps in files what the kernel would: who is in the uplink's namespace, and what was said of a link. */
const IP = `#!/bin/busybox sh
bb=/bin/busybox
case "$*" in
  "link show dev "*) [ -e /links/$4 ] ;;
  "-o link show") $bb ls /links | while read -r one; do echo "5: $one: <BROADCAST>"; done ;;
  *" netns "*) echo "$*" >> /state/ip; $bb rm -r /sys/class/net/$4; : > /links/$8 ;;
  *) echo "$*" >> /state/ip ;;
esac
`;

function withNics(work: (at: Root["at"], uplink: (verb: string) => string) => void): void {
  withRoot(({ at }) => {
    for (const one of ["links", "sys/class/net/lo", "run/rayos/uplink", "run/rayos/cg/rayos/net"]) {
      fs.mkdirSync(at(one), { recursive: true });
    }
    const program = (name: string, text: string) =>
      fs.writeFileSync(at(name), text, { mode: 0o755 });
    program("usr/bin/ip", IP);
    program("usr/bin/mount", '#!/bin/busybox sh\necho "$*" >> /state/mounts\n');
    fs.writeFileSync(at("proc/mounts"), "nsfs /run/rayos/netns/uplink nsfs rw 0 0\n");
    const text = fs.readFileSync(`${LAUNCHERS}/uplink`, "utf8");
    const here = text.replace('inside() { $bb nsenter --net=$ns "$@"; }', 'inside() { "$@"; }');
    assert.notEqual(here, text, "there is one way into the namespace");
    program("usr/lib/rayos/uplink", here);
    work(at, (verb) => {
      const result = new Deno.Command("unshare", {
        args: ["--mount", "--net", "chroot", at(""), "/usr/lib/rayos/uplink", verb],
        clearEnv: true,
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        stdin: "null",
      }).outputSync();
      return new TextDecoder().decode(result.stdout).trim();
    });
  });
}

Deno.test({
  name:
    "launcher uplink leaves no NIC where the host is, however many there are, and says how many serve nobody",
  ignore,
  fn: () =>
    withNics((at, uplink) => {
      const plug = (nic: string) =>
        fs.mkdirSync(at(`sys/class/net/${nic}/device`), { recursive: true });
      for (let nic = 0; nic < 8; nic++) plug(`eth${nic}`);
      assert.equal(uplink("park"), "ok 8");
      plug("eth8");
      assert.equal(uplink("park"), "ok 8 +1");
      plug("eth0");
      assert.equal(uplink("park"), "ok 8 +2");
      assert.deepEqual(fs.readdirSync(at("sys/class/net")), ["lo"]);
      const links = ["s8", "s9", ...Array.from({ length: 8 }, (_, n) => `u${n}`)];
      assert.deepEqual(fs.readdirSync(at("links")).sort(), links);
      const mounts = fs.readFileSync(at("state/mounts"), "utf8").trim().split("\n");
      assert.equal(mounts.length, 8);
      for (const one of mounts) assert.match(one, /-o nosuid,nodev,noexec,nosymfollow,mode=0700,/u);
    }),
});

Deno.test({
  name:
    "launcher uplink ends the clients and forgets their addresses where nobody is to have a network",
  ignore,
  fn: () =>
    withNics((at, uplink) => {
      fs.mkdirSync(at("sys/class/net/eth0/device"), { recursive: true });
      assert.equal(uplink("park"), "ok 1");
      fs.mkdirSync(at("run/rayos/cg/rayos/net/u0"));
      fs.writeFileSync(at("run/rayos/uplink/u0/facts"), "192.168.1.5/24 192.168.1.1 none\n");
      assert.equal(uplink("park"), "ok 1");
      assert.equal(fs.readFileSync(at("run/rayos/cg/rayos/net/u0/cgroup.kill"), "utf8"), "1\n");
      assert.ok(!fs.existsSync(at("run/rayos/uplink/u0/facts")));
      assert.match(fs.readFileSync(at("state/ip"), "utf8"), /link set dev u0 down\n$/u);
    }),
});
