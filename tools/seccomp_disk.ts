/**
 * qemu-img under strace in the jail of the launcher `disk`: each of the launcher's uses with each format,
 * and images that it finds fault with.
 */
import { DISK_CALLS } from "../src/seccomp/disk.ts";
import { recordJail } from "./seccomp_jail.ts";
import type { TracedCall } from "./seccomp_trace.ts";

/** The launcher's. */
const UID = 60998;
const MIB = 1024 * 1024;

type Format = "raw" | "qcow2";

interface Use {
  readonly verb: "create" | "check" | "convert" | "resize";
  readonly from?: Format;
  readonly to?: Format;
  readonly bytes: number;
  /** What is done to the image before. */
  readonly damage?: (image: string) => Promise<void>;
}

/** Clusters that the image's own table of references does not have: check and convert stop there. */
async function damage(image: string): Promise<void> {
  using file = await Deno.open(image, { write: true });
  await file.seek(2 * 65536, Deno.SeekMode.Start);
  await file.write(new Uint8Array(65536).fill(0xa5));
}

/** In this order: each finds what the one before has made. */
const USES: readonly Use[] = [
  { verb: "create", to: "raw", bytes: 64 * MIB },
  { verb: "resize", from: "raw", bytes: 96 * MIB },
  { verb: "convert", from: "raw", to: "qcow2", bytes: 128 * MIB },
  { verb: "check", from: "qcow2", bytes: 512 },
  { verb: "convert", from: "qcow2", to: "qcow2", bytes: 128 * MIB },
  { verb: "convert", from: "qcow2", to: "raw", bytes: 128 * MIB },
  { verb: "convert", from: "raw", to: "raw", bytes: 128 * MIB },
  { verb: "convert", from: "raw", to: "qcow2", bytes: MIB },
  { verb: "create", to: "qcow2", bytes: 64 * MIB },
  { verb: "resize", from: "qcow2", bytes: 96 * MIB },
  { verb: "check", from: "qcow2", bytes: 512, damage },
  { verb: "convert", from: "qcow2", to: "raw", bytes: 128 * MIB },
];

/** Records all uses. */
export async function recordDisk(
  roots: string,
  say: (line: string) => void,
): Promise<readonly TracedCall[]> {
  const work = await Deno.makeTempDir({ prefix: "rayos-record-" });
  const [image, made] = [`${work}/image`, `${work}/made`];
  try {
    const calls: TracedCall[] = [];
    for (const use of USES) {
      say(`qemu-img ${[use.verb, use.from, use.to].filter((one) => one !== undefined).join(" ")}`);
      calls.push(...await recordUse(roots, image, made, use));
    }
    return calls;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function recordUse(
  roots: string,
  image: string,
  made: string,
  use: Use,
): Promise<readonly TracedCall[]> {
  if (use.to !== undefined) await Deno.writeFile(made, new Uint8Array());
  await use.damage?.(image);
  // Data, and room for zeroes, which are written in another way.
  if (use.verb === "convert" && use.from === "raw") {
    using file = await Deno.open(image, { write: true });
    await file.write(crypto.getRandomValues(new Uint8Array(65536)));
    await file.seek(8 * MIB, Deno.SeekMode.Start);
    await file.write(new Uint8Array(2 * MIB).fill(7));
  }
  for (
    const one of use.to === undefined ? [image] : use.from === undefined ? [made] : [image, made]
  ) {
    await Deno.chown(one, UID, UID);
  }
  const binds = [
    ...use.verb === "check" || use.verb === "convert" ? [`--ro-bind ${image} /g/in`] : [],
    ...use.verb === "resize" ? [`--bind ${image} /g/out`] : [],
    ...use.to === undefined ? [] : [`--bind ${made} /g/out`],
  ];
  const recorded = await recordJail(roots, {
    launcher: "disk",
    list: DISK_CALLS,
    filterVariable: "filter",
    before: /^case \$verb in\n {2}create\) set [^]*?^esac$/mu,
    variables: {
      jailroot: `${roots}/usr/lib/rayos/root/disk`,
      verb: use.verb,
      from: use.from ?? "",
      to: use.to ?? "",
      bytes: String(use.bytes),
      binds: binds.join(" "),
      uid: String(UID),
    },
  });
  const calls = await recorded.calls();
  if (use.to !== undefined) await Deno.rename(made, image);
  return calls;
}
