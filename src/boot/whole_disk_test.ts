import assert from "node:assert/strict";
import { wholeDisk } from "./whole_disk.ts";

const PARTITIONS = `major minor  #blocks  name

 254        0     131072 vda
 254        1     131071 vda1
   8        0    1000000 sda
   8       17    1000000 sdaa1
   8       16    1000000 sdaa
 259        0    1000000 nvme0n1
 259        3     500000 nvme0n1p2
 259        4     500000 nvme0n10
 253        0     500000 dm-0
 253       10     500000 dm-01
`;

const CASES: readonly [device: string, disk: string][] = [
  ["254:0", "254:0"],
  ["254:1", "254:0"],
  ["8:17", "8:16"],
  ["259:0", "259:0"],
  ["259:3", "259:0"],
  ["259:4", "259:4"],
  ["253:10", "253:10"],
  ["0:31", "0:31"],
];

for (const [device, disk] of CASES) {
  Deno.test(`wholeDisk of ${device} is ${disk}`, () => {
    assert.equal(wholeDisk(PARTITIONS, device), disk);
    assert.equal(wholeDisk("", device), device);
  });
}
