import assert from "node:assert/strict";
import fc from "fast-check";
import {
  beforeProgram,
  CRASH_LOOP,
  imageFacts,
  nextStart,
  renderStarts,
  whyNotTrusted,
} from "./session.ts";

const BUILD = {
  version: "0.1.0",
  build_id: "ab",
  profile: "developer",
  form: "compiled",
  runtime: "pinned-test",
  built: "2026-11-24T12:00:00Z",
};

Deno.test("imageFacts reads an image's own words and nothing half", () => {
  assert.equal(imageFacts(JSON.stringify(BUILD))?.built.getUTCFullYear(), 2026);
  assert.equal(imageFacts(JSON.stringify({ ...BUILD, profile: "debug" })), null);
  assert.equal(imageFacts("{"), null);
  assert.equal(imageFacts(null), null);
});

Deno.test("nextStart counts starts of one boot, and deaths before ready since it was last healthy", () => {
  let text: string | null = null;
  let starts = nextStart(text, "boot");
  assert.deepEqual(starts, { start: 1, diedBeforeReady: 0 });
  for (let n = 0; n < CRASH_LOOP; n++) {
    text = renderStarts("boot", starts, false);
    starts = nextStart(text, "boot");
  }
  assert.deepEqual(starts, { start: 6, diedBeforeReady: CRASH_LOOP });
  // Being ready alone does not forget them; the host does once it was healthy for long enough.
  starts = nextStart(renderStarts("boot", starts, true), "boot");
  assert.deepEqual(starts, { start: 7, diedBeforeReady: CRASH_LOOP });
  starts = nextStart(renderStarts("boot", { ...starts, diedBeforeReady: 0 }, true), "boot");
  assert.deepEqual(starts, { start: 8, diedBeforeReady: 0 });
});

Deno.test("nextStart begins anew for another boot and for a text that is none of ours", () => {
  const text = renderStarts("boot", { start: 4, diedBeforeReady: 3 }, false);
  assert.equal(nextStart(text, "other").start, 1);
  fc.assert(fc.property(fc.string(), (any) => nextStart(any, "boot").start >= 1));
});

Deno.test("beforeProgram divides the time before the first line", () => {
  assert.deepEqual(beforeProgram("1.50 2.25\n", 3000), {
    kernelMs: 1500,
    stage0Ms: 750,
    programMs: 750,
  });
  assert.equal(beforeProgram("x", 1), null);
});

Deno.test("whyNotTrusted believes a clock between build and twenty years, after the last boot", () => {
  const built = new Date("2026-01-01");
  assert.equal(whyNotTrusted(new Date("2026-06-01"), built, null), null);
  assert.equal(whyNotTrusted(new Date("2025-12-31"), built, null), "before_the_build");
  assert.equal(whyNotTrusted(new Date("2046-06-01"), built, null), "too_far_ahead");
  assert.equal(
    whyNotTrusted(new Date("2026-06-01"), built, new Date("2026-06-02")),
    "before_the_last_boot",
  );
});
