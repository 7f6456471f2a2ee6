/**
 * Unix sockets for the port: connect with a time limit, listen, read, write. The directories they lie
 * in are on a `nosymfollow` mount, so none can be a link. It knows no protocol.
 */

import * as fs from "node:fs";
import { Fault, reasonOf } from "../fault.ts";
import { within } from "../within.ts";
import type { Connection, Listener } from "./port.ts";

const CHUNK = 64 * 1024;
const ACCEPT_PAUSE_MS = 100;

function connection(socket: Deno.Conn): Connection {
  const buffer = new Uint8Array(CHUNK);
  let open = true;
  return {
    async read() {
      try {
        const count = await socket.read(buffer);
        return count === null ? null : buffer.slice(0, count);
      } catch {
        // Reset by the peer or closed by us: the end of the stream either way.
        return null;
      }
    },
    async write(bytes) {
      let at = 0;
      while (at < bytes.length) at += await socket.write(bytes.subarray(at));
    },
    close() {
      if (!open) return;
      open = false;
      socket.close();
    },
  };
}

/** @throws Fault `socket.unreachable` */
export async function connect(path: string, timeoutMs: number): Promise<Connection> {
  try {
    const pending = Deno.connect({ transport: "unix", path });
    return connection(await within(timeoutMs, path, pending));
  } catch (error) {
    throw new Fault(
      "guest",
      "socket.unreachable",
      `${path}: ${reasonOf(error)}; check that its owner runs`,
      error,
    );
  }
}

export async function listen(path: string, owner?: number): Promise<Listener> {
  // A socket file that a killed program left behind.
  fs.rmSync(path, { force: true });
  const listener = Deno.listen({ transport: "unix", path });
  // Stage 0's umask left it to root alone. In a guest's own directory the name may be another file by
  // now, which is why no link is followed: whatever is there is that guest's already.
  if (owner === undefined) fs.chmodSync(path, 0o600);
  // Deno 2.5 has no lchownSync.
  else await fs.promises.lchown(path, owner, owner);
  let open = true;
  return {
    async accept() {
      while (true) {
        try {
          return connection(await listener.accept());
        } catch {
          if (!open) return null;
          // No descriptor was left, or the client was gone already: neither ends the socket.
          await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
        }
      }
    },
    close() {
      open = false;
      listener.close();
    },
  };
}
