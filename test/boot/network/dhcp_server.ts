/**
 * A DHCP server of the test's own at the other end of the outer machine's only cable: it can say whatever
 * it is told to, well formed or not, which no real server would. Frames go through QEMU's netdev `stream`:
 * a length of four bytes, then the frame (QEMU 7.2, net/stream.c). It answers ARP for its own address.
 *
 * Sources: RFC 826, RFC 2131, RFC 2132.
 */

const SERVER_MAC = [0x02, 0x72, 0x61, 0x79, 0x00, 0x01];
export const SERVER = "192.168.77.1";

export type Option = readonly [code: number, bytes: readonly number[]];

/** What it answers to whoever asks. */
export interface Answer {
  readonly address: string;
  readonly options: readonly Option[];
  /** The last word on the whole message, from the field `op` on. */
  readonly damage?: (message: number[]) => number[];
}

export const quad = (text: string): number[] => text.split(".").map(Number);
export const words = (text: string): number[] => [...new TextEncoder().encode(text)];
const number32 = (value: number): number[] =>
  [24, 16, 8, 0].map((shift) => value / 2 ** shift & 255);

/** Values as an honest server gives them; a row of the test changes some. */
export function honest(
  {
    address = "192.168.77.50",
    mask = "255.255.255.0",
    router = SERVER,
    names = [SERVER],
    lease = 600,
  } = {},
): Answer {
  const options: Option[] = [
    [1, quad(mask)],
    [3, router.split(" ").flatMap(quad)],
    [6, names.flatMap(quad)],
    [51, number32(lease)],
  ];
  return { address, options };
}

const COOKIE = [99, 130, 83, 99];
/** Bytes before the options: 236 of the fixed fields, and the cookie. */
const FIXED = 240;

function message(asked: Uint8Array, kind: number, answer: Answer): number[] {
  const text = new Array<number>(FIXED - 4).fill(0);
  text.splice(0, 4, 2, 1, 6, 0);
  // Its number, flags and hardware address are the client's own.
  text.splice(4, 4, ...asked.subarray(4, 8));
  text.splice(10, 2, ...asked.subarray(10, 12));
  text.splice(16, 4, ...quad(answer.address));
  text.splice(28, 16, ...asked.subarray(28, 44));
  const options: Option[] = [[53, [kind]], [54, quad(SERVER)], ...answer.options];
  text.push(...COOKIE, ...options.flatMap(([code, bytes]) => [code, bytes.length, ...bytes]), 255);
  return answer.damage?.(text) ?? text;
}

function checksum(bytes: readonly number[]): number[] {
  let sum = 0;
  for (let n = 0; n < bytes.length; n += 2) sum += ((bytes[n] ?? 0) << 8) + (bytes[n + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [~sum >> 8 & 255, ~sum & 255];
}

const length16 = (value: number) => [value >> 8 & 255, value & 255];

/** The message in a datagram in a frame, to everybody. */
function framed(text: readonly number[]): Uint8Array {
  const udp = [0, 67, 0, 68, ...length16(text.length + 8), 0, 0, ...text];
  const ip = [
    ...[0x45, 0, ...length16(udp.length + 20), 0, 0, 0, 0, 64, 17, 0, 0],
    ...[...quad(SERVER), 255, 255, 255, 255],
  ];
  ip.splice(10, 2, ...checksum(ip));
  return new Uint8Array([...new Array(6).fill(255), ...SERVER_MAC, 8, 0, ...ip, ...udp]);
}

function arpAnswer(frame: Uint8Array): Uint8Array | null {
  const wanted = frame.subarray(38, 42).join(".");
  if (frame[21] !== 1 || wanted !== SERVER) return null;
  const asker = frame.subarray(22, 32);
  return new Uint8Array([
    ...[...asker.subarray(0, 6), ...SERVER_MAC, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
    ...[...SERVER_MAC, ...quad(SERVER), ...asker],
  ]);
}

/** The server; it listens before the machine starts, and ends with it. */
export class DhcpServer implements Disposable {
  answer: Answer = honest();
  /** How many requests it has answered: DISCOVER, and REQUEST. */
  offered = 0;
  granted = 0;
  readonly #listener: Deno.UnixListener;

  constructor(readonly path: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    // The machine's end is the end of the stream.
    void this.#serve().catch(() => {});
  }

  /** QEMU arguments of a machine whose only NIC ends here. */
  get nic(): string[] {
    return [
      ...["-netdev", `stream,id=cable,server=off,addr.type=unix,addr.path=${this.path}`],
      ...["-device", "virtio-net-pci,netdev=cable,romfile="],
    ];
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }

  async #serve(): Promise<void> {
    const connection = await this.#listener.accept();
    let rest = new Uint8Array();
    for await (const bytes of connection.readable) {
      rest = new Uint8Array([...rest, ...bytes]);
      while (rest.length >= 4) {
        const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0);
        if (rest.length < 4 + length) break;
        const answer = this.#answerTo(rest.subarray(4, 4 + length));
        rest = rest.slice(4 + length);
        if (answer === null) continue;
        const whole = new Uint8Array([...number32(answer.length), ...answer]);
        for (let at = 0; at < whole.length;) at += await connection.write(whole.subarray(at));
      }
    }
  }

  #answerTo(frame: Uint8Array): Uint8Array | null {
    const kind = (frame[12] ?? 0) << 8 | (frame[13] ?? 0);
    if (kind === 0x0806) return arpAnswer(frame);
    if (kind !== 0x0800 || frame[23] !== 17) return null;
    const udp = frame.subarray(14 + ((frame[14] ?? 0) & 15) * 4);
    if (udp[2] !== 0 || udp[3] !== 67) return null;
    const asked = udp.subarray(8);
    // The first option of busybox's client says what it wants.
    if (asked[FIXED] !== 53) return null;
    const wants = asked[FIXED + 2];
    if (wants === 1) {
      this.offered++;
      return framed(message(asked, 2, this.answer));
    }
    if (wants !== 3) return null;
    this.granted++;
    return framed(message(asked, 5, this.answer));
  }
}
