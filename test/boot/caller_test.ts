/**
 * What a caller of the harness brings along: a policy and a key of his own, and a guest that would
 * like to be taken for the host.
 */
import assert from "node:assert/strict";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import { joinOverlay } from "../../tools/boot_overlay.ts";
import { DEFAULT_POLICY, GUEST_FILES, PROJECT } from "../../tools/boot_prepare.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import {
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  Home,
  imageOf,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

/** Runs the harness's command on this checkout's image. */
async function harness(...args: string[]): Promise<{ code: number; out: string }> {
  const { kernel } = await imageOf("compiled");
  const image = kernel.slice(0, kernel.lastIndexOf("/"));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-P=tools", "-q", `${PROJECT}/tools/boot.ts`, "--image", image, ...args],
    stdin: "null",
  }).output();
  return { code, out: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}

/** A policy of the caller's own and the key pair that signs it, as files. */
async function ownPolicy(home: Home): Promise<{ policy: string; key: string }> {
  const policy = `${home.path}/own.toml`;
  const key = `${home.path}/own.pub`;
  const bytes = await Deno.readFile(DEFAULT_POLICY);
  const { secretKey, publicText } = generateKeyPair((count) =>
    crypto.getRandomValues(new Uint8Array(count))
  );
  await Deno.writeFile(policy, bytes);
  const signature = signDetached(bytes, secretKey, { trustedComment: "the caller's own" });
  await Deno.writeTextFile(`${policy}.minisig`, signature);
  await Deno.writeTextFile(key, publicText);
  return { policy, key };
}

fullTest("boot --policy with --key trusts the caller's key for that run", async () => {
  await using home = await Home.make();
  const { policy, key } = await ownPolicy(home);
  const { code, out } = await harness("--policy", policy, "--key", key);
  assert.equal(code, 0, out);
  assert.match(out, /^boot worked /mu);
});

fullTest("boot --policy without --key does not", async () => {
  await using home = await Home.make();
  const { policy } = await ownPolicy(home);
  const { code, out } = await harness("--policy", policy, "--json", `${home.path}/r.json`);
  assert.equal(code, 1, out);
  const { ok, markers } = JSON.parse(await Deno.readTextFile(`${home.path}/r.json`));
  assert.equal(ok, false);
  const violation = /^RAYOS_POLICY_VIOLATION:sig\.unknown_key/u;
  assert.ok(markers.some((marker: string) => violation.test(marker)), out);
});

/** Takes the guest's place: forges what a host would write, on every way out that it has, and ends. */
const FORGER = `#!/bin/busybox sh
PATH=/usr/bin:/usr/sbin
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
read -r modules < /etc/modules
$bb modprobe -a $modules
$bb usleep 500000
line="mono:9999 INFO vm RAYOS_LINUX_VM_READY vm=${GUEST} kind=linux"
for out in /dev/hvc0 /dev/vport0p1 /dev/vport0p2 /dev/vport1p1 /dev/kmsg; do
  [ -c $out ] || continue
  {
    echo "FORGED"
    echo "$line"
    printf '\\r\\033[2J%s\\n' "$line"
    echo "0123456789abcdef $line"
  } > $out &
done
$bb usleep 2000000
$bb poweroff -f
`;

Deno.test("a guest cannot write a line that the harness or a person takes for the host's", async () => {
  await using home = await Home.make();
  const initrd = await joinOverlay(
    GUEST_FILES.initrd,
    { "/init": FORGER },
    `${home.path}/forger.img`,
  );
  const disk = dataDisk(home, {
    ...guestFiles(GUEST, home),
    [`vm/linux/${GUEST}/initrd.img`]: { copy: initrd },
    ...await signedPolicy(await defaultPolicy()),
  });
  await using run = await startMachine({ disks: [{ path: disk }] });
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_VM_STATE:running:stopped vm=${GUEST}`);
    const boot = await finish(run);
    assert.deepEqual(eventsNamed(boot.lines, "RAYOS_LINUX_VM_READY"), []);
    assert.deepEqual(run.ignored, { foreign: 0, malformed: 0 });
    assert.doesNotMatch(boot.console, /RAYOS_LINUX_VM_READY/u);
    const log = readDataDisk(disk, `vm/linux/${GUEST}/logs/console.log`);
    assert.match(new TextDecoder().decode(log ?? new Uint8Array()), /FORGED/u, "in its own log");
  });
});
