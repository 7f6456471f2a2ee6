/**
 * The processes beside a guest's QEMU while they are recorded: its TPM, and its way to a network, with
 * another machine at its end. Each in its jail as its launcher makes it. The other machine is a network
 * namespace of this one; the machine's own network is not touched.
 */
import { UID_BASE } from "../src/id.ts";
import { PASST_CALLS } from "../src/seccomp/passt.ts";
import { SWTPM_CALLS } from "../src/seccomp/swtpm.ts";
import { run } from "./build_host.ts";
import { type Recorded, recordJail } from "./seccomp_jail.ts";
import { Namespace } from "./seccomp_network.ts";

/** Addresses: what passt gives its guest (launcher `net`), and what is at the other end. */
export const FAR = {
  guest: "198.19.0.2",
  gateway: "198.19.0.1",
  server: "93.184.216.34",
  nobody: "93.184.216.99",
} as const;

/** A guest's TPM and network. */
export interface Beside extends AsyncDisposable {
  readonly swtpm: Recorded;
  readonly passt: Recorded;
}

/**
 * Starts both; their sockets are in `t/` and `n/` of the work folder.
 *
 * @param uid QEMU's, whose group may connect
 */
export async function startBeside(roots: string, work: string, uid: number): Promise<Beside> {
  await using started = new AsyncDisposableStack();
  await Deno.mkdir(`${work}/state`, { mode: 0o700 });
  await Deno.chown(`${work}/state`, UID_BASE.swtpm, UID_BASE.swtpm);
  for (const [folder, owner] of [["t", UID_BASE.swtpm], ["n", UID_BASE.passt]] as const) {
    await Deno.chown(`${work}/${folder}`, owner, uid);
    await Deno.chmod(`${work}/${folder}`, 0o2750);
  }
  const swtpm = await recordJail(roots, {
    launcher: "jail.tpm",
    list: SWTPM_CALLS,
    filterVariable: "tpm_filter",
    variables: {
      tpm_root: `${roots}/usr/lib/rayos/root/swtpm`,
      root: work,
      tpm: "state",
      tpm_sockets: `${work}/t`,
      tpm_uid: String(UID_BASE.swtpm),
    },
  });
  started.defer(() => swtpm.signal("SIGKILL"));
  const near = await farNetwork(work, started);
  const passt = await recordJail(roots, {
    launcher: "net",
    list: PASST_CALLS,
    filterVariable: "filter",
    variables: {
      jailroot: `${roots}/usr/lib/rayos/root/passt`,
      ns: near.path,
      sockets: `${work}/n`,
      uid: String(UID_BASE.passt),
      resolver: FAR.server,
    },
  });
  started.defer(() => passt.signal("SIGKILL"));
  await there(`${work}/t/tpm.sock`, swtpm);
  await there(`${work}/n/passt.sock`, passt);
  const end = started.move();
  return { swtpm, passt, [Symbol.asyncDispose]: () => end.disposeAsync() };
}

async function there(socket: string, owner: Recorded): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      await Deno.lstat(socket);
      return;
    } catch (error) {
      // It says why.
      if (!owner.running()) await owner.calls();
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** passt's namespace, and one with somebody who answers. */
async function farNetwork(work: string, started: AsyncDisposableStack): Promise<Namespace> {
  const near = await Namespace.make(`${work}/ns-near`);
  started.defer(() => near.remove());
  const far = await Namespace.make(`${work}/ns-far`);
  started.defer(() => far.remove());
  near.ip(
    `link add x0 type veth peer name far netns ${far.path}`,
    "addr add 198.18.0.2/30 dev x0",
    "link set dev lo up",
    "link set dev x0 up",
    "route add default via 198.18.0.1",
  );
  far.ip(
    "link set dev lo up",
    "addr add 198.18.0.1/30 dev far",
    `addr add ${FAR.server}/32 dev lo`,
    "link set dev far up",
  );
  await Deno.mkdir(`${work}/www`);
  run("truncate", ["-s", "3M", `${work}/www/large`]);
  const servers = [
    far.start("httpd", "-f", "-p", "80", "-h", `${work}/www`),
    far.start("nc", "-l", "-p", "81", "-e", "/bin/busybox", "wc", "-c"),
  ];
  for (const one of servers) started.defer(() => one.end());
  return near;
}
