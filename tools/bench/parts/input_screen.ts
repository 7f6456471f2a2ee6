/**
 * The host's screen by itself, as a process whose time can be taken: draws a guest's picture as the program
 * does, into a file in memory in the framebuffer's place, and says how many pictures that were and what part
 * of a CPU it took. Its arguments: the socket of the guest's VNC server, the frame's file, width, height,
 * and the seconds.
 */
import { openFrame } from "../../../src/host/linux_frame.ts";
import { connect } from "../../../src/host/linux_sockets.ts";
import type { Connection } from "../../../src/host/port.ts";
import type { Slot, VmId } from "../../../src/id.ts";
import { fontOf } from "../../../src/presentation/font.ts";
import { encodeMessage } from "../../../src/presentation/rfb_messages.ts";
import { psf1 } from "../../../src/presentation/sample_font.ts";
import { Screen } from "../../../src/presentation/screen.ts";

/** What the process prints. */
export interface ScreenCost {
  /** Pictures a second. */
  readonly rate: number;
  /** Of one CPU, 0 to 1. */
  readonly cpu: number;
  /** MiB a second that came over the socket. */
  readonly mib: number;
}

/** Ticks of proc(5)'s times, on every Linux that runs Debian. */
const TICKS_PER_S = 100;
/** Until so many pictures have come, the guest is still on its way. */
const FIRST_PICTURES = 30;
const WAIT_MS = 240_000;

/** What a message that asks for the next picture begins with, and its length. */
const [ASKS = 0, ...REST] = encodeMessage({
  say: "update",
  incremental: true,
  width: 1,
  height: 1,
});

async function ticks(): Promise<number> {
  // After the name, which is in brackets: utime and stime are the 12th and 13th field (proc(5)).
  const stat = await Deno.readTextFile("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

if (import.meta.main) {
  const [socket = "", file = "", ...numbers] = Deno.args;
  const [width = 0, height = 0, seconds = 0] = numbers.map(Number);
  const stride = width * 4;
  await Deno.writeFile(file, new Uint8Array(stride * height));
  const frame = openFrame(file);
  if (frame === null) throw new Error(`${file}: cannot be opened; look at its folder`);
  let pictures = 0;
  let bytes = 0;
  const counted = (connection: Connection): Connection => ({
    ...connection,
    read: async () => {
      const got = await connection.read();
      bytes += got?.length ?? 0;
      return got;
    },
    write: async (message) => {
      if (message[0] === ASKS && message.length === REST.length + 1) pictures++;
      await connection.write(message);
    },
  });
  const screen = new Screen({
    frame,
    layout: { width, height, stride },
    font: fontOf(Uint8Array.from(psf1(16))),
    clock: {
      monoMs: () => performance.now(),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, ms);
          signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
        }),
    },
    connect: async () => counted(await connect(socket, 5_000)),
    hide: () => Deno.exit(1),
    report: (fault) => console.error(fault.message),
    status: () => "",
  });
  screen.show({ vm: "guest" as VmId, kind: "linux", slot: 0 as Slot, input: () => true });
  void screen.run();
  const end = performance.now() + WAIT_MS;
  while (pictures < FIRST_PICTURES && performance.now() < end) await sleep(100);
  if (pictures < FIRST_PICTURES) throw new Error("the guest changes nothing; look at its console");
  await sleep(2_000);
  const before = { pictures, bytes, ticks: await ticks(), at: performance.now() };
  await sleep(seconds * 1000);
  const took = (performance.now() - before.at) / 1000;
  const cost: ScreenCost = {
    rate: (pictures - before.pictures) / took,
    cpu: (await ticks() - before.ticks) / TICKS_PER_S / took,
    mib: (bytes - before.bytes) / took / 1024 / 1024,
  };
  console.log(JSON.stringify(cost));
  Deno.exit(0);
}
