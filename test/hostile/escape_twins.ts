/**
 * The launcher with walls taken away: its text changed in named places, so that a twin is the jail
 * itself but for them. It writes nothing; a place that is gone from the launcher is an error.
 */
import { ALWAYS, type Wall } from "./escape_rows.ts";

type Change = readonly [from: string | RegExp, to: string];

/** Where the boot test mounts file systems for /tmp that allow device nodes. */
export const TWIN_TMP = { small: "/twin/small", large: "/twin/large" } as const;
/** Where a bare chroot is put together. */
export const TWIN_ROOT = "/twin/root";
/** Places of the host that a jail without a root of its own sees, besides /dev. */
export const HOST_PLACES = ["/var", "/run", "/proc", "/sys", "/etc"] as const;

/** What takes each wall away; those that hang together are below. */
const CHANGES: { readonly [One in Wall]?: readonly Change[] } = {
  seccomp: [["--add-seccomp-fd 9 ", ""], ['  exec 9< "$filter" || exit 125\n', ""]],
  uid: [["uid=$((61000 + slot))", "uid=0"]],
  caps: [
    [
      /--cap-drop ALL \\\n\s+--cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP/,
      "--cap-add ALL",
    ],
    ["--inh-caps=-all --bounding-set=-all", "--inh-caps=+all --ambient-caps=+all"],
  ],
  root: [[
    /--perms 0755 --tmpfs \/dev --dev-bind \/dev\/null .* --remount-ro \/dev/,
    ["/dev", ...HOST_PLACES].map((place) => `--dev-bind ${place} ${place}`).join(" "),
  ]],
  pid: [["--unshare-pid ", ""], ["--as-pid-1 ", ""]],
  net: [["--unshare-net ", ""]],
  ipc: [["--unshare-ipc ", ""]],
  uts: [["--unshare-uts ", ""]],
  cgroup_ns: [["--unshare-cgroup ", ""]],
  read_only: [
    ["--ro-bind $jailroot /", "--bind $jailroot /"],
    ["--remount-ro /g ", ""],
    ['binds="$binds --ro-bind', 'binds="$binds --bind'],
    ['way_bind="--ro-bind', 'way_bind="--bind'],
    // It comes from the launcher's part for a TPM.
    ["/s $tpm_bind ", "/s ${tpm_bind/--ro-bind/--bind} "],
  ],
  nosymfollow: [["noexec,nosymfollow,", "noexec,"]],
  descriptors: [["  ulimit -c 0\n", "  exec 5< /etc/inittab\n  ulimit -c 0\n"]],
  rlimits: [["  ulimit -c 0\n", ""], ["  ulimit -n 256\n", ""], ["  ulimit -l 0\n", ""]],
  file_size: [[/ {2}\[ "\$grows" = 1 \] \|\| ulimit -f .*\n/, ""]],
  memory: [['echo "$memory_max" >', "echo max >"]],
  pids: [['echo "$pids_max" >', "echo max >"]],
  log_size: [["size=64k,nr_inodes=32 err", "size=16m err"]],
  socket_space: [["size=256k,nr_inodes=64", "size=16m,nr_inodes=4096"]],
};

/** No bubblewrap: a chroot into a copy of the mount, nosuid or not. */
function bareChroot(has: (wall: Wall) => boolean): Change[] {
  const nosuid = has("nosuid")
    ? `/usr/bin/mount -o remount,bind,nosuid ${TWIN_ROOT}`
    : `/usr/bin/mount -o remount,bind,suid ${TWIN_ROOT}`;
  return [
    ['  exec 9< "$filter" || exit 125\n', ""],
    [
      /exec \/usr\/bin\/bwrap[^]*?\/usr\/bin\/setpriv/,
      `/usr/bin/mount --bind $jailroot ${TWIN_ROOT}; ${nosuid}; ` +
      `/usr/bin/mount --bind "$sockets" ${TWIN_ROOT}/s; exec $bb chroot ${TWIN_ROOT} /usr/bin/setpriv`,
    ],
    ...has("no_new_privs") ? [] : [["--no-new-privs ", ""] as const],
    // Here the launcher's own child is the program.
    ["  kill -9 $monitor\n  wait $monitor\n", ""],
  ];
}

/** /tmp: its size and its nodev are one option's. */
function tmpChange(has: (wall: Wall) => boolean): Change[] {
  const sized = "--size 16777216 --tmpfs /tmp";
  if (!has("nodev")) {
    const from = has("tmp_size") ? TWIN_TMP.small : TWIN_TMP.large;
    return [[`--perms 1777 ${sized}`, `--dev-bind ${from} /tmp`]];
  }
  return has("tmp_size") ? [] : [[sized, "--tmpfs /tmp"]];
}

/**
 * The launcher's text with these walls and no others.
 *
 * @throws TypeError where a change finds nothing to change
 */
export function launcherWith(text: string, walls: ReadonlySet<Wall>): string {
  const has = (wall: Wall) => walls.has(wall);
  const bare = !ALWAYS.every(has);
  const changes = bare ? bareChroot(has) : [
    ...tmpChange(has),
    // Each change finds the launcher's own text: what is added to a line comes before what takes it away.
    ...(["descriptors", ...Object.keys(CHANGES).filter((one) => one !== "descriptors")] as Wall[])
      .flatMap((wall) => has(wall) ? [] : CHANGES[wall] ?? []),
  ];
  let changed = text;
  for (const [from, to] of changes) {
    const next = changed.replace(from, () => to);
    if (next === changed) throw new TypeError(`twin: the launcher has no ${from}; follow it here`);
    changed = next;
  }
  return changed;
}
