/**
 * Which disk a partition is part of: the kernel limits the speed of whole disks alone. Pure; it reads
 * the kernel's list of block devices as it stands.
 *
 * Source: proc(5), /proc/partitions; the kernel's rule for names of partitions (block/partitions/core.c):
 * the disk's name and a number, with a `p` between them where the disk's name ends in a digit.
 */

/**
 * The whole disk's `major:minor`; the device's own where it is one, or where the list has it not.
 *
 * @param partitions the text of /proc/partitions
 * @param device `major:minor`
 */
export function wholeDisk(partitions: string, device: string): string {
  const devices = partitions.split("\n").flatMap((line) => {
    const [major = "", minor = "", blocks = "", name = ""] = line.trim().split(/\s+/);
    return /^\d+$/.test(major) && /^\d+$/.test(blocks) ? [{ id: `${major}:${minor}`, name }] : [];
  });
  const own = devices.find((one) => one.id === device)?.name ?? "";
  const disk = devices.find(({ name }) => {
    const rest = own.startsWith(name) ? own.slice(name.length) : "";
    return (/\d$/.test(name) ? /^p\d+$/ : /^\d+$/).test(rest);
  });
  return disk?.id ?? device;
}
