/** Makes what the tests of the builder take for a kernel module. */

/** A relocatable ELF file with one section, as a kernel module has. */
export function moduleWith(info: string): Uint8Array {
  const names = "\0.modinfo\0.shstrtab\0";
  const bytes = new Uint8Array(64 + info.length + names.length + 3 * 64);
  const view = new DataView(bytes.buffer);
  const text = new TextEncoder();
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const infoAt = 64, namesAt = infoAt + info.length, headersAt = namesAt + names.length;
  bytes.set(text.encode(info), infoAt);
  bytes.set(text.encode(names), namesAt);
  view.setBigUint64(0x28, BigInt(headersAt), true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 3, true);
  view.setUint16(0x3e, 2, true);
  const section = (n: number, name: number, offset: number, size: number) => {
    view.setUint32(headersAt + n * 64, name, true);
    view.setBigUint64(headersAt + n * 64 + 24, BigInt(offset), true);
    view.setBigUint64(headersAt + n * 64 + 32, BigInt(size), true);
  };
  section(1, 1, infoAt, info.length);
  section(2, 10, namesAt, names.length);
  return bytes;
}
