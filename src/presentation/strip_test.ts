import assert from "node:assert/strict";
import fc from "fast-check";
import { type VmId, vmId } from "../id.ts";
import { STRIP_COLUMNS, STRIP_GAP, stripText } from "./strip.ts";

const shown = (vm: string, input: boolean, kind: "linux" | "windows" = "linux") => ({
  vm: vm as VmId,
  kind,
  input,
});

Deno.test("stripText names the guest that is presented by its name and kind, and says where it has no input", () => {
  assert.deepEqual(stripText(null), { text: "RayOS  nobody is presented", notice: "" });
  assert.deepEqual(stripText(null, true), { text: "RayOS  recovery shell", notice: "" });
  assert.deepEqual(stripText(shown("a", true)), { text: "RayOS  a  linux", notice: "" });
  assert.deepEqual(stripText(shown("w-1", false, "windows")), {
    text: "RayOS  w-1  windows",
    notice: "no input",
  });
});

Deno.test("stripText is another one for each guest, and has room for each", () => {
  const letter = fc.constantFrom(..."abcxyz0189-");
  const name = fc.array(letter, { minLength: 1, maxLength: 63 }).map((all) => all.join(""))
    .filter((one) => vmId(one) !== null);
  const one = fc.record({
    vm: name,
    input: fc.boolean(),
    kind: fc.constantFrom("linux" as const, "windows" as const),
  });
  const whole = ({ text, notice }: ReturnType<typeof stripText>) => text + STRIP_GAP + notice;
  fc.assert(fc.property(one, one, (a, b) => {
    const [first, second] = [a, b].map(({ vm, input, kind }) => stripText(shown(vm, input, kind)));
    assert.ok(first && second);
    const same = a.vm === b.vm && a.kind === b.kind && a.input === b.input;
    assert.equal(whole(first) === whole(second), same);
    assert.notEqual(first.text, stripText(null).text);
    assert.ok(whole(first).length <= STRIP_COLUMNS);
  }));
});
