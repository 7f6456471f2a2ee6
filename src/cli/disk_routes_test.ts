import assert from "node:assert/strict";
import { renderBackup, renderRestored } from "./backup_routes.ts";
import { bytesOf, renderInfo, roomText, sizeText } from "./disk_routes.ts";

const ROOM = { free_bytes: 3 * 2 ** 30, low: false };

Deno.test("bytesOf takes plain numbers and K, M, G, T, and nothing else", () => {
  assert.deepEqual(["512", "1K", "512M", "8G", "1T"].map(bytesOf), [
    512,
    1024,
    2 ** 29,
    2 ** 33,
    2 ** 40,
  ]);
  for (const text of ["", "G", "1.5G", "-1", "8 G", "8g", "8GB", "0x10", "999999999999999T"]) {
    assert.throws(() => bytesOf(text), /is no size; say it as/, text);
  }
});

Deno.test("sizeText says a size as a person reads it", () => {
  assert.deepEqual([0, 512, 1024, 1536, 2 ** 33, 2 ** 50].map(sizeText), [
    "0 bytes",
    "512 bytes",
    "1 KiB",
    "1.5 KiB",
    "8 GiB",
    "1024 TiB",
  ]);
});

Deno.test("renderInfo shows disks, those that cannot be used, and backups, escaping the terminal's", () => {
  const text = renderInfo({
    vm: "demo",
    disks: [
      {
        path: "vm/linux/demo/root\u001b[2J",
        format: "raw",
        virtual_bytes: 2 ** 30,
        file_bytes: 2 ** 30,
        used_as: "root",
      },
      { path: "vm/linux/demo/gone", rule: "path.missing", used_as: "data" },
    ],
    backups: [
      { backup: 1, made_at: "2026-11-26T00:00:00.000Z", bytes: 2 ** 20 },
      { backup: 2, rule: "backup.damaged" },
    ],
    ...ROOM,
  });
  assert.match(text, /root\\u001b\[2J: raw, 1 GiB for the guest, file of 1 GiB, disk root\n/);
  assert.match(text, /gone: cannot be used: path\.missing, disk data\n/);
  assert.match(text, /backup 1: of 2026-11-26T00:00:00\.000Z, 1 MiB\n/);
  assert.match(text, /backup 2: cannot be used: backup\.damaged\nRayOS Data: 3 GiB left\n$/);
  assert.match(renderInfo({}), /another shape/);
});

Deno.test("roomText warns where RayOS Data runs low", () => {
  assert.match(roomText({ free_bytes: 1024, low: true }), /^warning: RayOS Data runs low, 1 KiB/);
});

Deno.test("renderRestored says what came back, where the rest is, and what differs", () => {
  const done = {
    vm: "demo",
    backup: 2,
    restored: ["vm/linux/demo/rootfs.ext4"],
    aside: "vm/linux/demo/backup/aside/1",
    boot_differs: ["vm/linux/demo/vmlinuz"],
    ...ROOM,
  };
  const text = renderRestored(done);
  assert.match(text, /backup 2 is back: vm\/linux\/demo\/rootfs\.ext4\n/);
  assert.match(
    text,
    /lies in \/var\/rayos\/vm\/linux\/demo\/backup\/aside\/1\nwarning: .*vmlinuz\n/,
  );
  assert.doesNotMatch(renderRestored({ ...done, boot_differs: [] }), /warning/);
  assert.match(renderRestored(null), /another shape/);
});

Deno.test("renderBackup says how the guest is afterwards", () => {
  const made = {
    vm: "demo",
    backup: 1,
    folder: "f",
    bytes: 1024,
    ms: 1234,
    consistent: "frozen+paused",
    state: "running",
    ...ROOM,
  };
  assert.match(
    renderBackup(made),
    /backup 1 in \/var\/rayos\/f, 1 KiB, frozen\+paused, in 1\.2 s; the guest is running\n/,
  );
});
