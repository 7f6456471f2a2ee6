/**
 * The command line of the outer QEMU: the machine in which an image is booted. Data in, argv out;
 * starts nothing. The machine has no network at all.
 */

/** A disk of the machine, raw, on virtio-blk. */
export interface OuterDisk {
  readonly path: string;
  readonly readonly?: boolean;
}

export interface OuterMachineSpec {
  readonly kernel: string;
  /** One initramfs file; overlays are already joined to it. */
  readonly initramfs: string;
  readonly append: string;
  readonly disks: readonly OuterDisk[];
  /** False: a CPU without SVM, so that the image finds no /dev/kvm. */
  readonly kvm: boolean;
  readonly smp: number;
  readonly memoryMiB: number;
  /** More QEMU arguments, after all others. */
  readonly extra: readonly string[];
}

/** Name of the harness's own virtio-serial port, as the guest finds it in sysfs. */
const HARNESS_PORT = "org.rayos.harness";

/** The sockets on which the harness listens; QEMU connects to them when it starts. */
export const OUTER_SOCKETS = ["serial", "harness", "qmp"] as const;
export type OuterSocket = typeof OUTER_SOCKETS[number];

/** Path of a socket in the run's directory. */
export function outerSocket(directory: string, name: OuterSocket): string {
  return `${directory}/${name}.sock`;
}

/** Commas end a value in QEMU's option lists; a doubled one stands for itself (qemu(1)). */
function quoted(text: string): string {
  return text.replaceAll(",", ",,");
}

function chardev(directory: string, name: OuterSocket): string[] {
  return ["-chardev", `socket,id=${name},path=${quoted(outerSocket(directory, name))},server=off`];
}

/** The argv, without the program's own name, of the machine whose sockets are in that directory. */
export function outerArgv(spec: OuterMachineSpec, directory: string): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-name", "rayos-outer"],
    ...["-machine", "q35", "-accel", "tcg,thread=multi"],
    ...["-cpu", spec.kvm ? "max" : "max,-svm"],
    ...["-smp", String(spec.smp), "-m", String(spec.memoryMiB)],
    ...["-kernel", spec.kernel, "-initrd", spec.initramfs, "-append", spec.append],
    ...chardev(directory, "serial"),
    ...["-serial", "chardev:serial"],
    ...chardev(directory, "harness"),
    ...["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"],
    ...["-device", `virtserialport,chardev=harness,name=${HARNESS_PORT}`],
    ...chardev(directory, "qmp"),
    ...["-mon", "chardev=qmp,mode=control"],
    ...spec.disks.flatMap((disk, n) => diskArgv(disk, n)),
    ...spec.extra,
  ];
}

function diskArgv(disk: OuterDisk, n: number): string[] {
  const readOnly = disk.readonly === true;
  return [
    "-blockdev",
    JSON.stringify({
      "driver": "raw",
      "node-name": `disk${n}`,
      "read-only": readOnly,
      // The host's page cache is enough: the disk is looked at after QEMU has ended, not after
      // this machine lost its power.
      "cache": { "direct": false, "no-flush": true },
      "file": { "driver": "file", "filename": disk.path, "read-only": readOnly },
    }),
    "-device",
    JSON.stringify({ driver: "virtio-blk-pci", drive: `disk${n}`, serial: `rayos-disk${n}` }),
  ];
}
