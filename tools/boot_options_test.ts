import assert from "node:assert/strict";
import { BOOT_HELP, parseBootOptions } from "./boot_options.ts";

function options(...args: string[]) {
  const parsed = parseBootOptions(args);
  assert.equal(parsed.kind, "run", JSON.stringify(parsed));
  return parsed.kind === "run" ? parsed.options : assert.fail();
}

Deno.test("parseBootOptions without words boots this checkout's compiled form", () => {
  const { image, form, kvm, expect, refuse, timeout, interactive } = options();
  assert.deepEqual(
    { image, form, kvm, expect, refuse, timeout, interactive },
    {
      image: null,
      form: "compiled",
      kvm: true,
      expect: [],
      refuse: [],
      timeout: null,
      interactive: false,
    },
  );
});

Deno.test("parseBootOptions takes every option", () => {
  const taken = options(
    ...["--interactive", "--image", "i", "--form=bundled", "--policy", "p", "--sign", "--key", "k"],
    ...["--append", "a=1", "--append", "b=2", "--expect", "RAYOS_READY mode=safe"],
    ...["--expect=RAYOS_A", "--refuse", "RAYOS_B:x", "--timeout", "9", "--no-kvm"],
    ...["--json", "j", "--junit", "u", "--keep", "d"],
  );
  assert.equal(taken.append, "a=1 b=2");
  assert.deepEqual(taken.expect.map((one) => one.text), ["RAYOS_READY mode=safe", "RAYOS_A"]);
  assert.deepEqual(taken.refuse.map((one) => one.parts), [["RAYOS_B", "x"]]);
  assert.equal(taken.timeout, 9);
  assert.equal(taken.kvm, false);
  assert.equal(taken.form, "bundled");
  assert.deepEqual([taken.sign, taken.key, taken.json, taken.junit, taken.keep], [
    true,
    "k",
    "j",
    "u",
    "d",
  ]);
});

Deno.test("parseBootOptions refuses what it does not know or cannot use", () => {
  for (
    const args of [
      ["--nonsense"],
      ["word"],
      ["--image"],
      ["--image", "a", "--image", "b"],
      ["--sign"],
      ["--sign=1", "--policy", "p"],
      ["--form", "other"],
      ["--timeout", "0"],
      ["--timeout", "1.5"],
      ["--expect", "not a marker"],
      ["--policy", "p", "--data", "d"],
      ["--append", "quiet rayos.harness=0123456789abcdef"],
      ["--append", "a\nb"],
    ]
  ) assert.equal(parseBootOptions(args).kind, "usage", args.join(" "));
});

Deno.test("BOOT_HELP names every option that parseBootOptions takes", () => {
  const named = [
    ...["interactive", "image", "form", "policy", "sign", "key", "data", "append", "expect"],
    ...["refuse", "timeout", "no-kvm", "json", "junit", "keep"],
  ];
  for (const name of named) assert.match(BOOT_HELP, new RegExp(`^  --${name}\\b`, "mu"));
});
