import assert from "node:assert/strict";
import fc from "fast-check";
import { renderPlan } from "../jail/render.ts";
import { deviceOptions, type DeviceRequest } from "./device.ts";
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

Deno.test("qemuArgv gives no device and no block node that the plan did not name", () => {
  const device = fc.constantFrom<"raw" | "qcow2">("raw", "qcow2");
  fc.assert(
    fc.property(fc.array(device, { maxLength: 8 }), fc.boolean(), (formats, agent) => {
      const devices: DeviceRequest[] = [
        { device: "serial-bus" } as const,
        ...(agent ? [{ device: "agent" } as const] : []),
        ...formats.map((format, n) => ({ device: "disk", file: `disk${n}`, format } as const)),
        ...(formats.length % 2 === 0 ? [{ device: "vtpm" } as const] : []),
        ...(formats.length % 3 === 0 ? [{ device: "firmware", secureBoot: agent } as const] : []),
      ];
      const { argv } = samplePlan({ devices });
      const named = devices.flatMap(deviceOptions).flat();
      const found = argv.flatMap((element, index) =>
        element === "-device" || element === "-blockdev" ? [element, argv[index + 1]] : []
      );
      const wanted = named.flatMap((element, index) =>
        element === "-device" || element === "-blockdev" ? [element, named[index + 1]] : []
      );
      assert.deepEqual(found, wanted);
    }),
  );
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
