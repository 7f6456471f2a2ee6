/**
 * The DHCP client under strace in the jail of the launcher `uplink`, with the table of that launcher, and a
 * server at the other end: an address, a renewal, a cable that is pulled, an end of the lease, another
 * network, an offer that is not sound, and its end.
 */
import { DHCP_CALLS } from "../src/seccomp/dhcp.ts";
import { launcherText, partOf, type Recorded, recordJail } from "./seccomp_jail.ts";
import { Namespace, type Server } from "./seccomp_network.ts";
import type { TracedCall } from "./seccomp_trace.ts";

/** The launcher's. */
const UID = 60900;
const NIC = "u0";
/** Seconds that a lease takes at least, and what the client waits between two tries. */
const PATIENCE_S = 90;

interface Offer {
  readonly network: string;
  readonly router: string;
  readonly leaseS: number;
}

const SOUND: Offer = { network: "192.168.77", router: "192.168.77.1", leaseS: 16 };
const OTHER: Offer = { network: "192.168.78", router: "192.168.78.1", leaseS: 600 };
const UNSOUND: Offer = { ...SOUND, router: "10.0.0.1" };

/** Records one life of it. */
export async function recordDhcp(
  roots: string,
  say: (line: string) => void,
): Promise<readonly TracedCall[]> {
  const work = await Deno.makeTempDir({ prefix: "rayos-record-" });
  const near = await Namespace.make(`${work}/ns-near`);
  const far = await Namespace.make(`${work}/ns-far`);
  let server: Server | null = null;
  let recorded: Recorded | null = null;
  try {
    near.ip(`link add ${NIC} type veth peer name far netns ${far.path}`);
    far.ip(
      "link set dev far up",
      "addr add 192.168.77.1/24 dev far",
      "addr add 192.168.78.1/24 dev far",
    );
    const launcher = await launcherText("uplink");
    const table = partOf(launcher, /(?<=\/usr\/sbin\/nft ')[^']*/u);
    near.run("chroot", `${roots}/usr/lib/rayos/root/dhcp`, "/usr/sbin/nft", table);
    near.run("sh", "-c", "echo 68 > /proc/sys/net/ipv4/ip_unprivileged_port_start");
    near.ip(`link set dev ${NIC} up`);
    const place = `${work}/state`;
    await Deno.mkdir(place, { mode: 0o700 });
    await Deno.chown(place, UID, UID);
    recorded = await recordJail(roots, {
      launcher: "uplink",
      list: DHCP_CALLS,
      filterVariable: "filter",
      variables: { ns: near.path, place, nic: NIC, uid: String(UID) },
    });
    const { running, signal, calls } = recorded;
    const facts = (wanted: string) => until(`${place}/facts`, wanted, running);

    say("udhcpc: an address, a renewal");
    server = await serve(far, work, SOUND);
    await facts("192.168.77.");
    signal("SIGUSR1");
    say("udhcpc: a cable that is pulled, an end of the lease");
    far.ip("link set dev far down");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    far.ip("link set dev far up");
    await server.end();
    await facts("");
    say("udhcpc: an offer that is not sound");
    server = await serve(far, work, UNSOUND);
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    await server.end();
    say("udhcpc: another network, and its end");
    server = await serve(far, work, OTHER);
    await facts("192.168.78.");
    signal("SIGTERM");
    return await calls();
  } finally {
    recorded?.signal("SIGKILL");
    await server?.end();
    await near.remove();
    await far.remove();
    await Deno.remove(work, { recursive: true });
  }
}

async function serve(far: Namespace, work: string, offer: Offer): Promise<Server> {
  await Deno.writeTextFile(`${work}/leases`, "");
  await Deno.writeTextFile(
    `${work}/udhcpd.conf`,
    [
      "interface far",
      `start ${offer.network}.50`,
      `end ${offer.network}.50`,
      `lease_file ${work}/leases`,
      "option subnet 255.255.255.0",
      `option router ${offer.router}`,
      `option dns ${offer.router}`,
      `option lease ${offer.leaseS}`,
      "",
    ].join("\n"),
  );
  return far.start("udhcpd", "-f", `${work}/udhcpd.conf`);
}

/** Waits until the client's facts begin so; "": until there are none. */
async function until(path: string, wanted: string, running: () => boolean): Promise<void> {
  const last = performance.now() + PATIENCE_S * 1000;
  while (performance.now() < last) {
    if (!running()) throw new Error("the DHCP client ended");
    const text = await Deno.readTextFile(path).catch(() => "");
    if (wanted === "" ? text === "" : text.startsWith(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`the DHCP client has not come to "${wanted}" in ${PATIENCE_S} s`);
}
