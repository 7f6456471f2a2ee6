import assert from "node:assert/strict";
import fc from "fast-check";
import { renderPlan } from "../jail/render.ts";
import { deviceOptions, type DeviceRequest, SCREEN_OUTPUT } from "./device.ts";
import { samplePlan } from "./sample_plan.ts";

/** Options whose value is free text or JSON; all others are constants and numbers. */
const TEXT_OPTIONS = ["-append", "-name", "-uuid"];

Deno.test("qemuArgv puts a document's text into its own element and nowhere else", () => {
  const plain = samplePlan({ kernelCmdline: "X" }).argv;
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const argv = samplePlan({ kernelCmdline: text }).argv;
      assert.equal(argv.length, plain.length);
      argv.forEach((element, index) => {
        const expected = argv[index - 1] === "-append" ? text : plain[index];
        assert.equal(element, expected);
      });
    }),
  );
});

/** Every driver of a device, block node, object and character device that a guest's QEMU is ever given. */
const DRIVERS = {
  "-device": [
    "VGA",
    "ide-hd",
    "pcie-root-port",
    "tpm-crb",
    "virtconsole",
    "virtio-blk-pci",
    "virtio-gpu-pci",
    "virtio-keyboard-pci",
    "virtio-serial-pci",
    "virtio-tablet-pci",
    "virtserialport",
  ],
  "-blockdev": ["qcow2", "raw"],
  "-object": ["memory-backend-memfd"],
  "-chardev": ["socket"],
  "-tpmdev": ["emulator"],
} as const;

/** Any set of rows of the table, with what each of them can be asked for. */
const anyDevices: fc.Arbitrary<DeviceRequest[]> = fc.record({
  always: fc.constantFrom<DeviceRequest["device"][]>(
    ["serial-bus"],
    ["serial-bus", "console"],
    ["serial-bus", "console", "agent"],
  ),
  network: fc.boolean(),
  shares: fc.integer({ min: 0, max: 16 }),
  disks: fc.array(
    fc.record({
      format: fc.constantFrom<"raw" | "qcow2">("raw", "qcow2"),
      ahci: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
  firmware: fc.constantFrom(null, false, true),
  vtpm: fc.boolean(),
  gpu: fc.constantFrom<"virtio" | "vga" | null>(null, "virtio", "vga"),
  input: fc.boolean(),
}).map((of) => [
  ...of.always.map((device) => ({ device }) as DeviceRequest),
  ...(of.network ? [{ device: "network-port" } as const] : []),
  ...(of.shares > 0 ? [{ device: "shared-memory", memoryMiB: 64 } as const] : []),
  ...Array.from({ length: of.shares }, (_, share) => ({ device: "share-port", share }) as const),
  ...of.disks.map(({ format, ahci }, n) =>
    ({ device: "disk", file: `disk${n}`, format, ...(ahci ? { ahciPort: n } : {}) }) as const
  ),
  ...(of.firmware === null ? [] : [{ device: "firmware", secureBoot: of.firmware } as const]),
  ...(of.vtpm ? [{ device: "vtpm" } as const] : []),
  ...(of.gpu === null ? [] : [{ device: "gpu", model: of.gpu } as const]),
  ...(of.input ? [{ device: "input" } as const] : []),
]);

Deno.test("qemuArgv is the same for every guest but for the rows of its devices, and these make no driver but the listed ones", () => {
  const seen = new Set<string>();
  const none = samplePlan({ devices: [] }).argv;
  const end = none.indexOf("-mon") + 2;
  fc.assert(
    fc.property(anyDevices, (devices) => {
      const { argv } = samplePlan({ devices });
      const rows = devices.flatMap(deviceOptions);
      const screen = devices.some((one) => one.device === "gpu") ? SCREEN_OUTPUT : "none";
      const fixed = none.map((word, n) => none[n - 1] === "-display" ? screen : word);
      assert.deepEqual(argv, [...fixed.slice(0, end), ...rows.flat(), ...fixed.slice(end)]);
      for (const [option, value] of rows) {
        if (option === "-machine" || option === "-global") continue;
        assert.ok(Object.hasOwn(DRIVERS, option), `${option} ${value}`);
        const given = value.startsWith("{") ? JSON.parse(value) : { driver: value.split(",")[0] };
        const driver: string = given.driver ?? given["qom-type"];
        const known: readonly string[] = DRIVERS[option as keyof typeof DRIVERS];
        assert.ok(known.includes(driver), `${option} ${driver}`);
        seen.add(`${option} ${driver}`);
      }
    }),
    { numRuns: 300 },
  );
  // A list that is longer than what is made would let something else in.
  const listed = Object.entries(DRIVERS).flatMap(([option, all]) =>
    all.map((driver) => `${option} ${driver}`)
  );
  assert.deepEqual([...seen].sort(), listed.sort());
});

Deno.test("qemuArgv is pairs of an option and a value, and only JSON and constants have commas", () => {
  const { argv } = samplePlan();
  for (let n = 0; n < argv.length; n += 2) {
    const [option = "", value = ""] = argv.slice(n, n + 2);
    assert.match(option, /^-[a-z-]+$/);
    if (TEXT_OPTIONS.includes(option)) continue;
    if (option === "-device" || option === "-blockdev") {
      assert.doesNotThrow(() => JSON.parse(value));
    } else assert.match(value, /^[a-z0-9=,./_-]+$|^\d+M$/);
  }
});

Deno.test("qemuArgv asks for KVM and the host's CPU, or for TCG, never with a hypervisor inside", () => {
  const native = samplePlan().argv.join(" ");
  assert.match(native, /-accel kvm -cpu host,svm=off,vmx=off/);
  const emulated = samplePlan({ emulated: true }).argv.join(" ");
  assert.match(emulated, /-accel tcg,tb-size=64 -cpu max,svm=off,vmx=off,la57=off/);
});

Deno.test("qemuArgv tells Windows of Hyper-V under KVM alone, and gives it local time", () => {
  const windows = samplePlan({ kind: "windows" }).argv.join(" ");
  assert.match(
    windows,
    /-cpu host,svm=off,vmx=off,hv_relaxed,hv_vapic,hv_spinlocks=0x1fff,hv_time /,
  );
  assert.match(windows, /-rtc base=localtime/);
  assert.doesNotMatch(samplePlan({ kind: "windows", emulated: true }).argv.join(" "), /hv_/);
  assert.doesNotMatch(samplePlan().argv.join(" "), /hv_|localtime|tpm|pflash|ide/);
});

Deno.test("a disk on AHCI has its own port of the one controller", () => {
  const disk = (ahciPort: number) =>
    ({ device: "disk", file: `disk${ahciPort}`, format: "raw", ahciPort }) as const;
  const text = samplePlan({ devices: [disk(0), disk(1)] }).argv.join(" ");
  assert.match(text, /"driver":"ide-hd","bus":"ide\.0".*"driver":"ide-hd","bus":"ide\.1"/);
  assert.doesNotMatch(text, /virtio-blk/);
});

Deno.test("a TPM is the emulator behind the guest's own socket, never the host's", () => {
  const { argv } = samplePlan({ devices: [{ device: "vtpm" }] });
  assert.equal(argv[argv.indexOf("-tpmdev") + 1], "emulator,id=tpm0,chardev=tpm");
  assert.ok(argv.includes("socket,id=tpm,path=/t/tpm.sock"));
  assert.doesNotMatch(argv.join(" "), /passthrough/);
});

Deno.test("UEFI is two flash drives: the image's code, which is never written, and the guest's variables", () => {
  const { argv } = samplePlan({ devices: [{ device: "firmware", secureBoot: false }] });
  const drives = argv.filter((_, n) => argv[n - 1] === "-blockdev").map((one) => JSON.parse(one));
  assert.deepEqual(
    drives.map((one) => [one["node-name"], one["read-only"], one.file.filename]),
    [["firmware", true, "/usr/share/OVMF/OVMF_CODE_4M.fd"], ["nvram", false, "/g/nvram"]],
  );
  assert.ok(argv.includes("pflash0=firmware,pflash1=nvram"));
  assert.ok(!argv.includes("-global"));
});

Deno.test("with Secure Boot, variables are written by the firmware in SMM alone, and nothing sleeps", () => {
  const text = samplePlan({ devices: [{ device: "firmware", secureBoot: true }] }).argv.join(" ");
  assert.match(text, /OVMF_CODE_4M\.secboot\.fd/);
  assert.match(text, /-machine pflash0=firmware,pflash1=nvram,smm=on /);
  assert.match(text, /-global driver=cfi\.pflash01,property=secure,value=on/);
  assert.match(text, /-global ICH9-LPC\.disable_s3=1/);
});

Deno.test("qemuArgv names no network, display, USB or graphics", () => {
  const text = samplePlan().argv.join(" ");
  assert.doesNotMatch(text, /netdev|nic|-net |usb-|vfio|9p|fsdev|audiodev|vnc|spice/);
  assert.match(text, /-display none -vga none/);
});

Deno.test("a screen goes to a socket in the jail, and only where the guest is given one", () => {
  const { argv } = samplePlan({ devices: [{ device: "gpu", model: "virtio" }] });
  const outputs = argv.filter((_, n) => argv[n - 1] === "-display");
  assert.deepEqual(outputs, ["vnc=unix:/s/vnc.sock"]);
  assert.ok(!argv.includes("-vnc"));
});

Deno.test("renderPlan refuses what its form cannot hold, and writes everything else a line each", () => {
  const text = renderPlan(samplePlan({ kernelCmdline: "a=b c" }));
  assert.match(text, /^rayos-jail 0\nvm demo\nkind linux\n/);
  assert.ok(text.includes("\narg -append\narg a=b c\n"));
  for (const bad of ["a\nrw policy/x disk9", "a\0b", "a\rb"]) {
    assert.throws(() => renderPlan(samplePlan({ kernelCmdline: bad })), /line break or NUL/);
  }
  assert.throws(() => renderPlan(samplePlan({ kernelCmdline: "x".repeat(70_000) })), /larger than/);
});
