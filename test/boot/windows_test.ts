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
import { FULL_VARIABLE } from "../../tools/test_steps.ts";
import { insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  eventsNamed,
  finish,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const GUEST = "windows-demo-001";
const FOLDER = `vm/windows/${GUEST}`;
const NVRAM = `${FOLDER}/ovmf_vars.fd`;
const READY_MS = 1_800_000;

const POLICY = `version = 0
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

Deno.test({
  name:
    "a guest of kind windows is booted by UEFI, reads its TPM, and is refused with damaged variables",
  ignore: Deno.env.get(FULL_VARIABLE) !== "1",
  async fn() {
    await using home = await Home.make();
    const disk = dataDisk(home, { ...windowsFiles(home), ...await signedPolicy(POLICY) }, 192);
    const machine = { disks: [{ path: disk }], kvm: false, memoryMiB: 2560 };
    {
      await using run = await startMachine({ ...machine, overlay: await insideOverlay() });
      await showingLines(run, async () => {
        await run.waitFor(`RAYOS_WINDOWS_VM_READY vm=${GUEST}`, READY_MS);
        const { output } = await rayInside(run, `vm log ${GUEST} --lines 400`);
        assert.match(output, /guest was booted by UEFI/u);
        assert.match(output, /tpm register 0 is [0-9A-F]{64}/u);
        assert.match(output, /tpm keeps [0-9a-f]{16} made/u);
        for (const device of ["firmware", "vtpm", "disk0"]) {
          assert.equal(
            eventsNamed(run.lines, "RAYOS_DEVICE").includes(`RAYOS_DEVICE:${device}`),
            true,
          );
        }
        const boot = await finish(run);
        assert.deepEqual(eventsNamed(boot.lines, "RAYOS_POLICY_VIOLATION"), []);
        assertEndedInOrder(boot);
      });
    }
    assertClean(disk);
    const variables = readDataDisk(disk, NVRAM) ?? new Uint8Array();
    assert.equal(nvramIssue(variables, SAMPLE_NVRAM_BYTES), null);
    const first = readDataDisk(disk, `${FOLDER}/backup/ovmf_vars.fd.1`);
    assert.equal(first?.length, SAMPLE_NVRAM_BYTES);
    assert.notDeepEqual(first, variables, "the firmware wrote its variables");

    variables[41] = 0;
    writeDataDisk(disk, NVRAM, variables);
    await using run = await startMachine(machine);
    const { lines } = await finish(run, "RAYOS_READY mode=normal");
    assert.deepEqual(eventsNamed(lines, "RAYOS_POLICY_VIOLATION"), [
      `RAYOS_POLICY_VIOLATION:vm.nvram_damaged:${NVRAM}`,
    ]);
    assert.deepEqual(readDataDisk(disk, NVRAM), variables, "it is left as it was");
  },
});
