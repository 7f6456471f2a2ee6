import assert from "node:assert/strict";
import fc from "fast-check";
import { renderPlan } from "../jail/render.ts";
import { deviceOptions } from "./device.ts";
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
      const devices = [
        { device: "serial-bus" } as const,
        ...(agent ? [{ device: "agent" } as const] : []),
        ...formats.map((format, n) => ({ device: "disk", file: `disk${n}`, format } as const)),
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

Deno.test("qemuArgv names no network, display, USB or graphics", () => {
  const text = samplePlan().argv.join(" ");
  assert.doesNotMatch(text, /netdev|nic|-net |usb-|vfio|9p|fsdev|audiodev|vnc|spice/);
  assert.match(text, /-display none -vga none/);
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
