/**
 * What the program does with a guest's screen while its system calls are recorded: connects to QEMU's VNC,
 * takes a whole picture and one that changes, and leaves. It draws nothing.
 */
import { connect } from "../src/host/linux_sockets.ts";
import { RfbReader } from "../src/presentation/rfb.ts";
import { say } from "../src/presentation/rfb_messages.ts";

/** Milliseconds; a guest under strace is slow. */
const CONNECT_MS = 10_000;
/** A picture that does not change any more is not sent. */
const CHANGE_MS = 5_000;

/** Takes pictures from the socket at that path. */
export async function takePictures(path: string): Promise<void> {
  const connection = await connect(path, CONNECT_MS);
  const reader = new RfbReader();
  const leaving = setTimeout(() => connection.close(), CHANGE_MS);
  let pictures = 0;
  for (let bytes = await connection.read(); bytes !== null; bytes = await connection.read()) {
    const step = reader.take(bytes);
    if (step.fault !== null) throw step.fault;
    await say(connection, step.say);
    const kinds = step.events.map((one) => one.type);
    pictures += kinds.filter((one) => one === "updated").length;
    if (!kinds.includes("ready") && !kinds.includes("updated")) continue;
    await say(connection, [{ say: "update", incremental: pictures > 0, ...reader.size }]);
  }
  clearTimeout(leaving);
  if (pictures === 0) throw new Error("no picture came");
}
