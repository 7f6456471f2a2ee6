/** What a VNC server says, as bytes. For tests only. */

const bytes = (text: string) => [...text].map((one) => one.charCodeAt(0));
export const u16 = (value: number) => [(value >> 8) & 255, value & 255];
export const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];

export const RAW = 0;
export const COPY = 1;
export const CURSOR = -239;
export const SIZE = -223;

/** A server's side of the beginning. */
export function handshake(width: number, height: number, name = "QEMU (a)"): number[] {
  return [
    ...bytes("RFB 003.008\n"),
    ...[1, 1],
    ...u32(0),
    ...serverInit(width, height, name.length),
    ...bytes(name),
  ];
}

/** Size, a pixel format of which nothing is believed, and how long the name is. */
export function serverInit(width: number, height: number, name: number): number[] {
  return [...u16(width), ...u16(height), ...new Array<number>(16).fill(7), ...u32(name)];
}

export interface SampleRectangle {
  readonly at: readonly [x: number, y: number, width: number, height: number];
  readonly encoding: number;
  readonly body?: readonly number[];
}

/** An update with these rectangles, or one that says that it has another count of them. */
export function update(
  rectangles: readonly SampleRectangle[],
  count = rectangles.length,
): number[] {
  return [
    ...[0, 0],
    ...u16(count),
    ...rectangles.flatMap(({ at, encoding, body = [] }) => [
      ...at.flatMap(u16),
      ...u32(encoding),
      ...body,
    ]),
  ];
}

/** A rectangle of pixels, each of them that one. */
export function raw(
  x: number,
  y: number,
  width: number,
  height: number,
  pixel: readonly number[] = [1, 2, 3, 0],
): SampleRectangle {
  const body = Array.from({ length: width * height }, () => pixel).flat();
  return { at: [x, y, width, height], encoding: RAW, body };
}
