import assert from "node:assert/strict";
import { mountedAt, mountTable } from "./mount_table.ts";

const TEXT = `22 1 0:21 / /run rw,nosuid shared:5 - tmpfs run rw,size=64m
30 1 254:0 / /var/rayos rw,nodev - ext4 /dev/vda rw
31 30 0:40 / /var/rayos rw - tmpfs rayos-data rw
`;

Deno.test("mountTable reads lines with and without optional fields", () => {
  assert.deepEqual(mountTable(TEXT).map((one) => [one.place, one.type, one.source, one.device]), [
    ["/run", "tmpfs", "run", "0:21"],
    ["/var/rayos", "ext4", "/dev/vda", "254:0"],
    ["/var/rayos", "tmpfs", "rayos-data", "0:40"],
  ]);
});

Deno.test("mountedAt gives the mount that is seen, the last one at a place", () => {
  assert.equal(mountedAt(TEXT, "/var/rayos")?.source, "rayos-data");
  assert.equal(mountedAt(TEXT, "/var"), null);
  assert.equal(mountedAt("", "/"), null);
});
