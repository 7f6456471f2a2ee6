import assert from "node:assert/strict";
import fc from "fast-check";
import { CMDLINE_DEFAULTS, cmdlineMeansSafe, parseCmdline } from "./cmdline.ts";

function rules(text: string, profile: "developer" | "release" = "developer"): string[] {
  return parseCmdline(text, profile).issues.map((one) => one.rule);
}

Deno.test("parseCmdline of nothing gives the documented defaults", () => {
  const { cmdline, issues } = parseCmdline("", "release");
  assert.deepEqual(issues, []);
  assert.deepEqual(cmdline, {
    mode: "normal",
    data: { by: "label", label: "RAYOS_DATA" },
    system: { by: "if_present", label: "RAYOS_SYSTEM" },
    entry: "current",
    dev: null,
    readyTimeoutS: 120,
    harness: null,
  });
});

Deno.test("parseCmdline leaves the words of other programs alone", () => {
  const text = "console=ttyS0 panic=-1 root=/dev/vda rw quiet init=/x rayosx=1 rayos RAYOS=2 --\n";
  assert.deepEqual(parseCmdline(text, "release").issues, []);
  assert.deepEqual(parseCmdline(text, "release").cmdline, CMDLINE_DEFAULTS);
});

Deno.test("parseCmdline reads every key", () => {
  const { cmdline, issues } = parseCmdline(
    "a=b rayos.mode=recovery rayos.data=UUID=0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11 " +
      "rayos.system=none rayos.entry=previous rayos.dev=1 rayos.ready_timeout=3600 " +
      "rayos.harness=0123456789abcdef\n",
    "developer",
  );
  assert.deepEqual(issues, []);
  assert.equal(cmdline.dev?.granted, true);
  assert.deepEqual({ ...cmdline, dev: null }, {
    mode: "recovery",
    data: { by: "uuid", uuid: "0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11" },
    system: { by: "none" },
    entry: "previous",
    dev: null,
    readyTimeoutS: 3600,
    harness: "0123456789abcdef",
  });
});

Deno.test("parseCmdline reads each form of a file system's place", () => {
  const data = (value: string) => parseCmdline(`rayos.data=${value}`, "release").cmdline.data;
  assert.deepEqual(data("LABEL=X_1"), { by: "label", label: "X_1" });
  assert.deepEqual(data("UUID=12AB-34CD"), { by: "uuid", uuid: "12AB-34CD" });
  assert.deepEqual(data("/dev/disk/by-id/x"), { by: "device", path: "/dev/disk/by-id/x" });
  assert.deepEqual(data("tmpfs"), { by: "tmpfs" });
});

Deno.test("parseCmdline names an unknown key", () => {
  assert.deepEqual(rules("rayos.modus=safe"), ["cmdline.modus"]);
  assert.deepEqual(rules("rayos.=1"), ["cmdline.unnamed"]);
  assert.deepEqual(rules("rayos.a:b\u202e=1"), ["cmdline.a_b_"]);
  assert.deepEqual(rules("rayos.__proto__=1 rayos.constructor"), [
    "cmdline.__proto__",
    "cmdline.constructor",
  ]);
});

Deno.test("parseCmdline refuses each bad value, keeps that key's default, and it means safe mode", () => {
  const bad: [string, string][] = [
    ["mode", "Safe"],
    ["mode", ""],
    ["data", "LABEL="],
    ["data", "LABEL=a/b"],
    ["data", "LABEL=12345678901234567"],
    ["data", "UUID=xyz"],
    ["data", "none"],
    ["data", "/dev/../etc/shadow"],
    ["data", "/dev//vda"],
    ["data", "/etc/x"],
    ["system", "tmpfs"],
    ["entry", "next"],
    ["dev", "0"],
    ["dev", "yes"],
    ["ready_timeout", "29"],
    ["ready_timeout", "3601"],
    ["ready_timeout", "60s"],
    ["ready_timeout", "0x40"],
    ["ready_timeout", "6e1"],
    ["harness", "0123"],
    ["harness", "0123456789abcdeg"],
  ];
  for (const [key, value] of bad) {
    const { cmdline, issues } = parseCmdline(`rayos.${key}=${value}`, "developer");
    assert.deepEqual(issues.map((one) => one.rule), [`cmdline.${key}`], `${key}=${value}`);
    assert(issues.every(cmdlineMeansSafe));
    assert.deepEqual(cmdline, CMDLINE_DEFAULTS);
  }
});

Deno.test("parseCmdline refuses a key without a value", () => {
  for (const key of ["mode", "data", "system", "entry", "dev", "ready_timeout", "harness"]) {
    assert.deepEqual(rules(`rayos.${key}`), [`cmdline.${key}`]);
  }
});

Deno.test("parseCmdline takes a repeated key once and refuses two values that differ", () => {
  assert.deepEqual(rules("rayos.mode=safe rayos.mode=safe"), []);
  const { cmdline, issues } = parseCmdline("rayos.mode=safe rayos.mode=normal", "release");
  assert.deepEqual(issues.map((one) => one.rule), ["cmdline.mode"]);
  assert.equal(cmdline.mode, "normal");
  assert.deepEqual(rules("rayos.ready_timeout=60 rayos.ready_timeout=90"), [
    "cmdline.ready_timeout",
  ]);
});

Deno.test("parseCmdline cuts words as the kernel does, quotes included", () => {
  const data = (text: string) => parseCmdline(text, "release").cmdline.data;
  assert.deepEqual(data('rayos.data="tmpfs"'), { by: "tmpfs" });
  assert.deepEqual(data('"rayos.data=tmpfs"'), { by: "tmpfs" });
  assert.deepEqual(rules('dyndbg="file x +p; rayos.mode=bad" rayos.mode=safe'), []);
  assert.deepEqual(data("a\trayos.data=tmpfs\nb"), { by: "tmpfs" });
});

Deno.test("parseCmdline on a release image reports developer mode and goes on without it", () => {
  const { cmdline, issues } = parseCmdline("rayos.dev=1", "release");
  assert.equal(cmdline.dev, null);
  assert.deepEqual(issues.map((one) => one.rule), ["cmdline.dev"]);
  assert.equal(issues.some(cmdlineMeansSafe), false);
});

Deno.test("parseCmdline on a release image never gives developer mode, whatever the text", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom("rayos.dev=1", '"rayos.dev=1"', "rayos.dev", "rayos.mode=safe", '"', " ", "="),
  );
  fc.assert(fc.property(fc.array(word), (words) => {
    return parseCmdline(words.join(" "), "release").cmdline.dev === null;
  }));
});

Deno.test("parseCmdline of any text throws nothing and gives only cmdline rules that a marker can carry", () => {
  const word = fc.oneof(fc.string(), fc.string().map((tail) => `rayos.${tail}`));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const { issues } = parseCmdline(words.join(" "), "developer");
      return issues.every((one) => /^cmdline\.[A-Za-z0-9_.-]{1,40}$/.test(one.rule));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseCmdline gives the same for the same words in another order when no key repeats", () => {
  const words = [
    "rayos.mode=safe",
    "rayos.data=tmpfs",
    "rayos.entry=recovery",
    "rayos.ready_timeout=45",
    "quiet",
    "rayos.nonsense=1",
  ];
  const expected = parseCmdline(words.join(" "), "release");
  fc.assert(fc.property(fc.shuffledSubarray(words, { minLength: words.length }), (shuffled) => {
    assert.deepEqual(parseCmdline(shuffled.join(" "), "release"), expected);
  }));
});
