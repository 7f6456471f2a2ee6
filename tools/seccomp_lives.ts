/**
 * Whole lives of guests under strace on this machine, emulated: every device set that a plan can have,
 * from setpriv to the end, with a pause, a reset, saved state out and in, and a migration given up; in one
 * of them a TPM and a network card, whose processes beside QEMU are recorded too.
 * Each runs in a jail of bubblewrap's behind the filter that lets pass and records.
 */
import { type HotDevice, NETDEV, plugArguments, unplugArguments } from "../src/guest/hotplug.ts";
import { seccompFilter } from "../src/seccomp/filter.ts";
import { QEMU_CALLS } from "../src/seccomp/qemu.ts";
import type { DeviceRequest } from "../src/plan/device.ts";
import { samplePlan } from "../src/plan/sample_plan.ts";
import { makeDataDisk } from "./boot_data.ts";
import type { GuestFiles } from "./boot_prepare.ts";
import { run } from "./build_host.ts";
import { programBelow } from "./seccomp_jail.ts";
import { OuterQmp } from "./outer_qmp.ts";
import { qcow2Of } from "./qcow2.ts";
import { type Beside, FAR, startBeside } from "./seccomp_beside.ts";
import { takePictures } from "./seccomp_picture.ts";
import { FREQUENT, straceOptions, type TracedCall, tracedCalls } from "./seccomp_trace.ts";

const SETPRIV = "/usr/bin/setpriv";
/** A slot's uid, as in the real jail: libc and setpriv ask for other calls as root. */
const UID = "61000";
/** Seconds; a guest under strace is slow. */
const PATIENCE_S = 240;
/** The test guest counts its own seconds; two counts show that disk and clock go on. */
const ALIVE = /count \d+\r?\n[^]*count \d+/;

/** One guest's life: what it is made of, and what happens to it. */
interface Life {
  readonly name: string;
  readonly format: "raw" | "qcow2";
  readonly kernel: boolean;
  readonly agent: boolean;
  readonly incoming?: boolean;
  /** A TPM, and a network card that is plugged in and out. */
  readonly beside?: true;
  /** A screen of that kind, a keyboard and a pointer. */
  readonly gpu?: "virtio" | "vga";
  readonly steps: (guest: Running) => Promise<void>;
}

interface Running {
  readonly qmp: OuterQmp;
  /** Waits until the console shows it. */
  readonly console: (wanted: RegExp) => Promise<void>;
  /** Types a line at the guest's console. */
  readonly type: (line: string) => Promise<void>;
  readonly work: string;
  readonly ended: Promise<unknown>;
}

const CARD: HotDevice = { kind: "network", mac: "52:54:00:12:34:56" };

const LIVES: readonly Life[] = [
  {
    name: "raw disk, kernel, agent; pause, reset, saved state out",
    format: "raw",
    kernel: true,
    agent: true,
    async steps({ qmp, console, work }) {
      await console(ALIVE);
      await qmp.command("stop");
      await qmp.command("cont");
      await qmp.command("system_reset");
      await console(ALIVE);
      await qmp.command("stop");
      await migrateOut(qmp, work);
      await qmp.command("quit");
    },
  },
  {
    name: "the same with saved state in; power button",
    format: "raw",
    kernel: true,
    agent: true,
    incoming: true,
    async steps({ qmp, console, work }) {
      await qmp.command("migrate-incoming", { uri: "unix:/s/in.sock" });
      using state = await Deno.connect({ transport: "unix", path: `${work}/s/in.sock` });
      await state.write(new Uint8Array(0));
      using file = await Deno.open(`${work}/state`);
      await file.readable.pipeTo(state.writable);
      await status(qmp, "paused");
      await qmp.command("cont");
      await console(ALIVE);
      await qmp.command("system_powerdown");
    },
  },
  {
    name: "qcow2 disk, no agent; a migration that is given up",
    format: "qcow2",
    kernel: true,
    agent: false,
    async steps({ qmp, console, work }) {
      await console(ALIVE);
      using listener = await listen(work);
      await qmp.command("migrate-set-parameters", { "max-bandwidth": 1 });
      await qmp.command("migrate", { uri: "unix:/s/out.sock" });
      using _taker = await listener.accept();
      await qmp.command("migrate_cancel");
      await qmp.command("query-migrate");
      await qmp.command("quit");
    },
  },
  {
    name: "a TPM; a network card in and out, and what a guest does with it",
    format: "raw",
    kernel: true,
    agent: true,
    beside: true,
    async steps({ qmp, console, type }) {
      await console(/tpm keeps [0-9a-f]{16} made[^]*count \d+/);
      const path = "/n/passt.sock";
      await qmp.command("netdev_add", {
        type: "stream",
        id: NETDEV,
        server: false,
        addr: { type: "unix", path },
      });
      await qmp.command("device_add", plugArguments(CARD));
      await type(
        "run until [ -d /sys/class/net/eth0 ]; do $bb usleep 100000; done; " +
          "$bb ip link set dev eth0 up; $bb udhcpc -i eth0 -n -q -f -s /usr/bin/busybox; " +
          `$bb ip addr add ${FAR.guest}/24 dev eth0; $bb ip route add default via ${FAR.gateway}; ` +
          // Each has a limit of its own: some of them nobody answers.
          [
            `wget -q -O /dev/null http://${FAR.server}/large`,
            `nc ${FAR.server} 81 < /proc/kallsyms`,
            `wget -q -O - http://${FAR.server}:82/`,
            `wget -q -O - http://${FAR.nobody}/`,
            `nslookup name.test ${FAR.server}`,
            `ping -c 2 ${FAR.server}`,
            `ping -c 1 ${FAR.nobody}`,
          ].map((words) => `$bb timeout 5 $bb ${words}; `).join("") +
          "echo all of it",
      );
      await console(/^all of it/m);
      await qmp.command("device_del", unplugArguments({ kind: "network" }));
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await qmp.command("netdev_del", { id: NETDEV });
      await qmp.command("system_reset");
      await console(/tpm keeps [0-9a-f]{16} found/);
      await qmp.command("quit");
    },
  },
  {
    name: "a screen that is shown twice, and keys",
    format: "raw",
    kernel: true,
    agent: false,
    gpu: "virtio",
    async steps({ qmp, console, work }) {
      await console(ALIVE);
      await takePictures(`${work}/s/vnc.sock`);
      const key = { type: "qcode", data: "a" };
      await qmp.command("input-send-event", {
        events: [{ type: "key", data: { down: true, key } }],
      });
      await takePictures(`${work}/s/vnc.sock`);
      await qmp.command("quit");
    },
  },
  {
    name: "boot from an empty disk, with a screen",
    format: "raw",
    kernel: false,
    agent: false,
    gpu: "vga",
    async steps({ qmp, work }) {
      await takePictures(`${work}/s/vnc.sock`);
      await takePictures(`${work}/s/vnc.sock`);
      await qmp.command("quit");
    },
  },
];

/** Where QEMU, which is no root, sends its saved state to. */
async function listen(work: string): Promise<Deno.Listener<Deno.UnixConn>> {
  const path = `${work}/s/out.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.chmod(path, 0o666);
  return listener;
}

async function status(qmp: OuterQmp, wanted: string): Promise<void> {
  for (;;) {
    const answer = await qmp.command("query-status") as { status?: string };
    if (answer.status === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function migrateOut(qmp: OuterQmp, work: string): Promise<void> {
  using listener = await listen(work);
  await qmp.command("migrate-set-parameters", { "max-bandwidth": Number.MAX_SAFE_INTEGER });
  await qmp.command("migrate", { uri: "unix:/s/out.sock" });
  const taker = await listener.accept();
  await taker.readable.pipeTo((await Deno.create(`${work}/state`)).writable);
  for (;;) {
    const answer = await qmp.command("query-migrate") as { status?: string };
    if (answer.status === "completed") return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function argvOf(life: Life): string[] {
  const devices: DeviceRequest[] = [
    { device: "serial-bus" },
    { device: "console" },
    ...(life.agent ? [{ device: "agent" } as const] : []),
    { device: "disk", file: "disk0", format: life.format },
    ...(life.beside ? [{ device: "network-port" }, { device: "vtpm" }] as const : []),
    ...(life.gpu ? [{ device: "gpu", model: life.gpu }, { device: "input" }] as const : []),
  ];
  const plan = samplePlan({
    emulated: true,
    memoryMiB: 128,
    kernelCmdline: life.kernel ? "console=hvc0 quiet panic=-1" : null,
    files: life.kernel
      ? [...samplePlan().files, { ...samplePlan().files[1]!, name: "initrd" }]
      : samplePlan().files.slice(0, 1),
    devices,
  });
  return [...plan.argv, ...(life.incoming === true ? ["-incoming", "defer"] : [])];
}

/** bubblewrap's arguments: the launcher's jail with this machine's QEMU, and no other uid. */
function jailOf(work: string): string[] {
  const links = ["lib", "lib64", "bin", "sbin"].flatMap((
    one,
  ) => ["--symlink", `usr/${one}`, `/${one}`]);
  return [
    ..."--unshare-pid --unshare-net --unshare-ipc --unshare-uts --clearenv --as-pid-1".split(" "),
    ..."--add-seccomp-fd 9 --cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP --ro-bind /usr /usr"
      .split(" "),
    ...links,
    ..."--ro-bind /etc/ld.so.cache /etc/ld.so.cache".split(" "),
    ..."--dir /dev --dev-bind /dev/null /dev/null --tmpfs /tmp".split(" "),
    ...["--bind", `${work}/g`, "/g", "--bind", `${work}/s`, "/s"],
    ...["--ro-bind", `${work}/t`, "/t", "--ro-bind", `${work}/n`, "/n", "--chdir", "/"],
    ...[
      SETPRIV,
      "--reuid",
      UID,
      "--regid",
      UID,
      "--clear-groups",
      "--no-new-privs",
      "--inh-caps=-all",
      "--bounding-set=-all",
      "--",
    ],
    ...["/usr/bin/qemu-system-x86_64", "-no-user-config", "-nodefaults", "-S"],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
  ];
}

/** What QEMU called in all lives, and what the processes beside it did in theirs. */
export interface Lives {
  readonly qemu: readonly TracedCall[];
  readonly swtpm: readonly TracedCall[];
  readonly passt: readonly TracedCall[];
}

/**
 * Records every life; gives all calls.
 *
 * @param roots where the jails' roots lie
 * @param only the lives with a TPM and a network
 */
export async function recordLives(
  guest: GuestFiles,
  roots: string,
  only: boolean,
  say: (line: string) => void,
): Promise<Lives> {
  const work = await Deno.makeTempDir({ prefix: "rayos-record-" });
  try {
    for (const one of ["g", "t", "n"]) await Deno.mkdir(`${work}/${one}`);
    await Deno.copyFile(guest.kernel, `${work}/g/kernel`);
    await Deno.copyFile(guest.initrd, `${work}/g/initrd`);
    await Deno.writeFile(`${work}/filter`, seccompFilter(QEMU_CALLS, "log"));
    const qemu: TracedCall[] = [];
    let beside = { swtpm: [] as readonly TracedCall[], passt: [] as readonly TracedCall[] };
    for (const life of LIVES) {
      if (only && !life.beside) continue;
      say(life.name);
      await using others = life.beside ? await startBeside(roots, work, Number(UID)) : null;
      qemu.push(...await recordLife(life, work, others));
      if (others !== null) {
        beside = { swtpm: await others.swtpm.calls(), passt: await others.passt.calls() };
      }
    }
    return { qemu, ...beside };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function recordLife(life: Life, work: string, others: Beside | null): Promise<TracedCall[]> {
  await Deno.remove(`${work}/s`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${work}/s`);
  if (life.incoming !== true) {
    makeDataDisk(`${work}/g/disk0`, {}, { sizeMiB: 16, label: "GUEST" });
    if (life.format === "qcow2") {
      await Deno.writeFile(`${work}/g/disk0`, qcow2Of(await Deno.readFile(`${work}/g/disk0`)));
    }
  }
  run("chown", ["-R", `${UID}:${UID}`, `${work}/g`, `${work}/s`]);
  const process = new Deno.Command("sh", {
    args: [
      "-c",
      'exec 9< "$0/filter"; exec strace -o "$0/trace" "$@"',
      work,
      ...straceOptions(FREQUENT),
      "bwrap",
      ...jailOf(work),
      ...argvOf(life),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const ended = process.output();
  let gone = false;
  void ended.then(() => gone = true);
  const limit = AbortSignal.timeout(PATIENCE_S * 1000);
  // The tracer would let QEMU go on.
  const end = () => {
    const qemu = gone ? 0 : programBelow(process.pid);
    if (qemu !== 0) Deno.kill(qemu, "SIGKILL");
  };
  limit.addEventListener("abort", end);
  const check = () => {
    limit.throwIfAborted();
    if (gone) throw new Error("QEMU ended");
    if (others !== null && !others.swtpm.running()) throw new Error("the TPM ended");
  };
  let consoleText = "";
  try {
    const qmp = new OuterQmp(await reach(`${work}/s/qmp.sock`, check), () => {});
    const consoleLine = await reach(`${work}/s/console.sock`, check);
    void (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of consoleLine.readable) consoleText += decoder.decode(bytes);
    })().catch(() => {});
    if (life.incoming !== true) await qmp.command("cont");
    await life.steps({
      qmp,
      work,
      ended,
      async type(line) {
        const writer = consoleLine.writable.getWriter();
        await writer.write(new TextEncoder().encode(`${line}\n`));
        writer.releaseLock();
      },
      async console(wanted) {
        consoleText = "";
        while (!wanted.test(consoleText)) {
          check();
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      },
    });
  } catch (error) {
    end();
    const { stderr } = await ended;
    const words = `${new TextDecoder().decode(stderr)}\n${consoleText.slice(-2000)}`;
    throw new Error(`${life.name}: ${error}; ${words}`);
  }
  const { success, stderr } = await ended;
  if (!success) throw new Error(`${life.name}: ${new TextDecoder().decode(stderr)}`);
  return tracedCalls(await Deno.readTextFile(`${work}/trace`), SETPRIV);
}

async function reach(path: string, check: () => void): Promise<Deno.UnixConn> {
  for (;;) {
    check();
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
