/**
 * A raw disk as a qcow2 image of version 3, without the clusters that are all zero. For tests and the
 * recorder: it knows no snapshots, no backing file and no compression.
 *
 * Source: QEMU, docs/interop/qcow2.txt.
 */

const CLUSTER = 65536;
const HEADER_BYTES = 104;
/** Header, refcount table, refcount block, L1 and L2 table: a cluster each, in this order. */
const FIRST_DATA = 5;
/** QCOW_OFLAG_COPIED: the cluster has one user, so it may be written in place. */
const COPIED = 1n << 63n;
/** What one L2 table maps. */
const MOST_BYTES = (CLUSTER / 8) * CLUSTER;

/**
 * The image's bytes.
 *
 * @throws RangeError where the disk is larger than 512 MiB, which one table can map
 */
export function qcow2Of(raw: Uint8Array): Uint8Array {
  if (raw.length > MOST_BYTES) throw new RangeError("qcow2: larger than 512 MiB; make it smaller");
  const data: { index: number; bytes: Uint8Array }[] = [];
  for (let at = 0; at < raw.length; at += CLUSTER) {
    const bytes = raw.subarray(at, at + CLUSTER);
    if (bytes.some((one) => one !== 0)) data.push({ index: at / CLUSTER, bytes });
  }
  const image = new Uint8Array((FIRST_DATA + data.length) * CLUSTER);
  const view = new DataView(image.buffer);
  const place = (cluster: number) => BigInt(cluster * CLUSTER);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, Math.log2(CLUSTER));
  view.setBigUint64(24, BigInt(raw.length));
  view.setUint32(36, 1);
  view.setBigUint64(40, place(3));
  view.setBigUint64(48, place(1));
  view.setUint32(56, 1);
  view.setUint32(96, 4);
  view.setUint32(100, HEADER_BYTES);
  view.setBigUint64(CLUSTER, place(2));
  for (let n = 0; n < FIRST_DATA + data.length; n++) view.setUint16(2 * CLUSTER + 2 * n, 1);
  view.setBigUint64(3 * CLUSTER, place(4) | COPIED);
  data.forEach(({ index, bytes }, n) => {
    const cluster = FIRST_DATA + n;
    view.setBigUint64(4 * CLUSTER + 8 * index, place(cluster) | COPIED);
    image.set(bytes, cluster * CLUSTER);
  });
  return image;
}
