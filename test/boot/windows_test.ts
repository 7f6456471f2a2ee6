/**
 * A guest of kind windows on a real machine: booted by UEFI from OVMF, with its own variables, a TPM, a disk
 * on AHCI, and no Windows, which nobody could put here: the small test guest is in its place and says in its
 * own words what it was given. Emulated in an emulated machine (OVMF under nested KVM ends QEMU 7.2 itself),
 * so it takes long and is a part of the full test alone.
 */
import assert from "node:assert/strict";
import { nvramIssue } from "../../src/plan/nvram.ts";
import { SAMPLE_NVRAM_BYTES } from "../../src/plan/sample_nvram.ts";
import { readDataDisk, writeDataDisk } from "../../tools/data_disk.ts";
import { insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  eventsNamed,
  finish,
  FULL,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const GUEST = "windows-demo-001";
const FOLDER = `vm/windows/${GUEST}`;
const NVRAM = `${FOLDER}/ovmf_vars.fd`;
/** A machine without KVM. */
const EMULATED = { kvm: false, memoryMiB: 2560 };
const READY_MS = 1_800_000;

const policy = (secureBoot: boolean) =>
  `version = 0
serial = 1

[security]
virtualization = "emulated_ok"

[windows]
enabled = true
vm_id = "${GUEST}"
autoboot = true
limits = { mem_mib = 256 }
devices = { vtpm = true }
storage = { bus = "ahci" }

[windows.boot]
secure_boot = ${secureBoot}
kernel = "${FOLDER}/vmlinuz"
initrd = "${FOLDER}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 cryptomgr.notests nokaslr mitigations=off ipv6.disable=1"
`;

function windowsFiles(home: Home) {
  const files = Object.entries(guestFiles(GUEST, home)).map(([path, file]) =>
    [path.replace(/^vm\/linux\//u, "vm/windows/").replace(/rootfs\.ext4$/u, "disk"), file] as const
  );
  return Object.fromEntries(files);
}

const ignore = !FULL;

/** Boots it once, until it is ready, and gives its disk and what it said. */
async function bootWindows(
  home: Home,
  secureBoot: boolean,
): Promise<{ disk: string; said: string }> {
  const files = { ...windowsFiles(home), ...await signedPolicy(policy(secureBoot)) };
  const disk = dataDisk(home, files, 192);
  await using run = await startMachine({
    ...EMULATED,
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
  });
  let said = "";
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_WINDOWS_VM_READY vm=${GUEST}`, READY_MS);
    said = (await rayInside(run, `vm log ${GUEST} --lines 400`)).output;
    const devices = eventsNamed(run.lines, "RAYOS_DEVICE");
    for (const device of ["firmware", "vtpm", "disk0"]) {
      assert.ok(devices.includes(`RAYOS_DEVICE:${device}`), device);
    }
    const boot = await finish(run);
    assert.deepEqual(eventsNamed(boot.lines, "RAYOS_POLICY_VIOLATION"), []);
    assertEndedInOrder(boot);
  });
  assertClean(disk);
  return { disk, said };
}

Deno.test({
  name:
    "a guest of kind windows is booted by UEFI, reads its TPM, and is refused with damaged variables",
  ignore,
  async fn() {
    await using home = await Home.make();
    const { disk, said } = await bootWindows(home, false);
    assert.match(said, /guest was booted by UEFI: Secure boot disabled/u);
    assert.match(said, /tpm register 0 is [0-9A-F]{64}/u);
    assert.match(said, /tpm keeps [0-9a-f]{16} made/u);
    const variables = readDataDisk(disk, NVRAM) ?? new Uint8Array();
    assert.equal(nvramIssue(variables, SAMPLE_NVRAM_BYTES), null);
    const first = readDataDisk(disk, `${FOLDER}/backup/ovmf_vars.fd.1`);
    assert.equal(first?.length, SAMPLE_NVRAM_BYTES);
    assert.notDeepEqual(first, variables, "the firmware wrote its variables");

    variables[41] = 0;
    writeDataDisk(disk, NVRAM, variables);
    await using run = await startMachine({ ...EMULATED, disks: [{ path: disk }] });
    const { lines } = await finish(run, "RAYOS_READY mode=normal");
    assert.deepEqual(eventsNamed(lines, "RAYOS_POLICY_VIOLATION"), [
      `RAYOS_POLICY_VIOLATION:vm.nvram_damaged:${NVRAM}`,
    ]);
    assert.deepEqual(readDataDisk(disk, NVRAM), variables, "it is left as it was");
  },
});

Deno.test({
  name:
    "a guest of kind windows is told by its firmware that Secure Boot is on where the policy wants it",
  ignore,
  async fn() {
    await using home = await Home.make();
    const { said } = await bootWindows(home, true);
    assert.match(said, /guest was booted by UEFI: Secure boot enabled/u);
  },
});
