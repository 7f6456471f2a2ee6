/*
 * Every way out that is tried, in order. test/hostile/escape_rows.ts has the same names with what each
 * means and what must stop it. Processes come first, while the jail's own process ids are still lower
 * than any that the host uses; what may change the jail for the rows behind it comes last.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>

#include "escape.h"

#define OTHER "/var/rayos/vm/linux/other/"
#define OWN_FOLDER "/var/rayos/vm/linux/hostile/"
#define GUESTS "/run/rayos/cg/rayos/guests/"

const struct attempt attempts[] = {
  {"signal_supervisor", signal_supervisor, NULL, 0},
  {"signal_other_guest", signal_guest, NULL, 0},
  {"signal_by_thread", signal_thread, NULL, 0},
  {"ptrace", trace_guest, NULL, 0},
  {"memory_of_other_guest", read_guest_memory, NULL, 0},
  {"vm_of_other_guest", take_vm, NULL, 0},
  {"setns", join_namespaces, NULL, 0},

  {"disk_of_other_guest", open_path, OTHER "rootfs.ext4", O_RDWR},
  {"own_saved_state", open_path, OWN_FOLDER "state/saved", O_RDWR},
  {"own_log", open_path, OWN_FOLDER "logs/console.log", O_RDWR},
  {"own_backup", open_path, OWN_FOLDER "backup/nvram", O_RDWR},
  {"own_lease", open_path, OWN_FOLDER "state/network_lease", O_RDWR},
  {"own_inbox", open_path, OWN_FOLDER "inbox/image", O_RDWR},
  {"own_outbox", open_path, OWN_FOLDER "outbox/image", O_RDWR},
  {"own_tpm_state", open_path, OWN_FOLDER "tpm", O_RDONLY | O_DIRECTORY},
  {"lease_of_other_guest", open_path, OTHER "state/network_lease", O_RDWR},
  {"backup_of_other_guest", open_path, OTHER "backup/1/manifest.json", O_RDWR},
  {"inbox_of_other_guest", open_path, OTHER "inbox/image", O_RDWR},
  {"outbox_of_other_guest", open_path, OTHER "outbox/image", O_RDWR},
  {"tpm_state_of_other_guest", open_path, OTHER "tpm/tpm2-00.permall", O_RDWR},
  {"policy", open_path, "/var/rayos/policy/rayos-policy.toml", O_RDWR},
  {"registry", open_path, "/var/rayos/vm/registry.json", O_RDWR},
  {"host_log", open_path, "/var/rayos/logs/rayos.log", O_WRONLY},
  {"host_file_read", open_path, "/etc/inittab", O_RDONLY},
  {"host_file_write", open_path, "/etc/inittab", O_RDWR},
  {"plan_of_other_guest", open_path, "/run/rayos/plan/00", O_RDWR},
  {"network_record", open_path, "/run/rayos/net/00.json", O_RDWR},
  {"uplink_facts", open_path, "/run/rayos/uplink/u0/facts", O_RDWR},
  {"uplink_namespace", join_network, "/run/rayos/netns/uplink", 0},
  {"host_disk", open_path, "/dev/vda", O_RDWR},
  {"physical_memory", open_path, "/dev/mem", O_RDONLY},
  {"proc_memory", open_of_guest, "/proc/%d/mem", O_RDWR},
  {"proc_environment", open_of_supervisor, "/proc/%d/environ", O_RDONLY},
  {"proc_root", open_of_supervisor, "/proc/%d/root/etc/inittab", O_RDONLY},
  {"core_pattern", open_path, "/proc/sys/kernel/core_pattern", O_WRONLY},
  {"sysrq", open_path, "/proc/sysrq-trigger", O_WRONLY},
  {"cgroup_leave", open_path, "/run/rayos/cg/cgroup.procs", O_WRONLY},
  {"cgroup_own_limit", open_path, GUESTS "01/memory.max", O_WRONLY},
  {"cgroup_of_other_guest", open_path, GUESTS "00/cgroup.kill", O_WRONLY},
  {"cgroup_mount", mount_cgroup, NULL, 0},

  {"qmp_of_other_guest", connect_to, "/run/rayos/g/00/qmp.sock", 0},
  {"agent_of_other_guest", connect_to, "/run/rayos/g/00/agent.sock", 0},
  {"tpm_of_other_guest", connect_to, "/run/rayos/t/00/tpm.sock", 0},
  {"passt_of_other_guest", connect_to, "/run/rayos/n/00/passt.sock", 0},
  {"control_socket", connect_to, "/run/rayos/control.sock", 0},
  {"socket_left_for_host", bind_at, "/run/rayos/g/00/state.sock", 0},
  {"link_left_for_host", plant_link, "/s/planted", 0},
  {"fifo_left_for_host", plant_fifo, "/s/fifo", 0},
  {"hard_link", plant_hard_link, OTHER "rootfs.ext4", 0},
  {"device_node", device_node, "/tmp/node", 0},
  {"terminal_input", inject_terminal, "/dev/ttyS0", 0},
  {"handle_of_data_root", open_by_handle, "/g/disk0", 0},
  {"disk_immutable", own_disk_immutable, "/g/disk0", 0},
  {"program_of_jail", open_path, "/usr/share/seabios/bios-256k.bin", O_RDWR},
  {"own_kernel", open_path, "/g/kernel", O_RDWR},
  {"file_beside_disk", make_file, "/g/planted", 0},
  {"file_beside_passt", make_file, "/n/planted", 0},

  {"tcp", net_tcp, NULL, 0},
  {"udp", net_udp, NULL, 0},
  {"raw_socket", net_raw, NULL, 0},
  {"packet_socket", net_packet, NULL, 0},
  {"netlink", net_netlink, NULL, 0},
  {"abstract_socket", net_abstract, NULL, 0},
  {"shared_memory", shared_memory, NULL, 0},
  {"message_queue", message_queue, NULL, 0},

  {"unshare_user", unshare_flags, NULL, CLONE_NEWUSER},
  {"unshare_mount", unshare_flags, NULL, CLONE_NEWNS},
  {"clone_user", clone_user, NULL, 0},
  {"clone3_user", clone3_user, NULL, 0},
  {"mount", mount_new, NULL, 0},
  {"mount_tree", mount_tree, NULL, 0},
  {"chroot", change_root, NULL, 0},
  {"become_root", become_root, NULL, 0},
  {"capabilities", raise_capabilities, NULL, 0},
  {"group", take_group, NULL, 0},

  {"add_key", add_a_key, NULL, 0},
  {"keyctl", find_keyring, NULL, 0},
  {"bpf", bpf_map, NULL, 0},
  {"perf_event_open", perf_event, NULL, 0},
  {"io_uring_setup", io_uring, NULL, 0},
  {"userfaultfd", user_faults, NULL, 0},
  {"reboot", restart_keys, NULL, 0},
  {"io_port", io_port, NULL, 0},
  {"clock", set_clock, NULL, 0},
  {"kernel_log", kernel_log, NULL, 0},
  {"real_time", real_time, NULL, 0},
  {"host_name", host_name, NULL, 0},

  {"inherited_descriptors", inherited, NULL, 0},
  {"more_descriptors", many_files, "/dev/null", 0},
  {"descriptor_limit", raise_files, NULL, 0},
  {"core_dump", dump_core, NULL, 0},
  {"locked_memory", lock_memory, NULL, 0},
  {"threads", many_threads, NULL, 0},
  {"disk_beyond_its_size", grow_disk, "/g/disk0", 0},
  {"tmp_beyond_its_size", fill_tmp, "/tmp/%d", 0},
  {"socket_space", fill_sockets, "/s/fill%d", 0},
  {"socket_inodes", fill_inodes, "/s/%d", 0},
  {"log_flood", flood_log, NULL, 0},
  {"remount", mount_remount, "/g", 0},

  /* These end the process, or may, or want a jail with a TPM: each is a run of its own, by name. */
  {"memory", take_memory, NULL, 1},
  {"inodes", many_inodes, "/tmp/%d", 1},
  {"i386_numbers", other_numbers, NULL, 1},
  {"own_tpm_socket", take_away, "/t/tpm.sock", 1},
  {"setuid_file", setuid_file, "/usr/bin/escape-setuid", 1},
  {NULL, NULL, NULL, 0},
};
