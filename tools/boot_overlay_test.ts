import assert from "node:assert/strict";
import { joinOverlay, overlayEntries } from "./boot_overlay.ts";

Deno.test("overlayEntries puts directories before what is in them, and marks scripts", () => {
  const entries = overlayEntries({
    "/etc/rayos/keys/a.pub": "key",
    "/init": "#!/bin/busybox sh\n",
    "/etc/link": { link: "/x" },
    "/secret": { data: "s", mode: 0o600 },
  });
  assert.deepEqual(
    entries.map((one) => [one.path, one.kind, one.mode]),
    [
      ["/etc", "dir", 0o755],
      ["/etc/rayos", "dir", 0o755],
      ["/etc/rayos/keys", "dir", 0o755],
      ["/etc/rayos/keys/a.pub", "file", 0o644],
      ["/init", "file", 0o755],
      ["/etc/link", "link", 0o777],
      ["/secret", "file", 0o600],
    ],
  );
});

Deno.test("joinOverlay begins its archive at a multiple of four bytes and leaves the image alone", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const image = `${directory}/image`;
    await Deno.writeFile(image, new Uint8Array([1, 2, 3, 4, 5]));
    await joinOverlay(image, { "/a": "x" }, `${directory}/joined`);
    const joined = await Deno.readFile(`${directory}/joined`);
    assert.equal(new TextDecoder().decode(joined.subarray(8, 14)), "070701");
    assert.deepEqual([...joined.subarray(0, 8)], [1, 2, 3, 4, 5, 0, 0, 0]);
    assert.equal((await Deno.readFile(image)).length, 5);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
