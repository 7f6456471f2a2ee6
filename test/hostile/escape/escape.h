/*
 * What the parts of the hostile program share. It runs in QEMU's place and tries to get out; each way is
 * one row of a table and answers with one number. It never goes on from a way out that it has found: it
 * opens and does not write, sends signal 0, takes away again what it planted.
 */
#ifndef ESCAPE_H
#define ESCAPE_H

/* Answers: 0 is out, a positive number is the errno that stopped it. */
#define OUT 0
/* The call worked, and reached nothing but the jail's own copy of the thing. */
#define OWN (-1)

struct attempt {
  const char *name;
  int (*tries)(const struct attempt *);
  const char *path;
  int flags;
};

/* What the attacker is given to know, so that no row fails for want of a number. */
struct targets {
  int supervisor; /* process ids, as the host counts them */
  int guest;
  int vm_fd;            /* descriptor of the other guest's VM in its QEMU */
  unsigned long device; /* of the host's disk */
  unsigned long cookie; /* of the host's network namespace */
};

extern struct targets targets;
/* The file that the answers go to. */
extern int rows;
extern const struct attempt attempts[];

/* What the host's own process holds out on its side (host.c). */
#define HOST_ADDRESS 0xc0000201u /* 192.0.2.1, of TEST-NET-1 */
#define HOST_PORT 7
#define HOST_SOCKET "rayos-escape"
#define HOST_QUEUE "rayos-escape"
#define HOST_MEMORY 0x7261796f
/* In the place of another guest's passt: the test's machine has no uplink. */
#define HOST_PASST "/run/rayos/n/00/passt.sock"
unsigned long net_cookie(int socket);
int hold_out(void);
int connect_path(const char *path);

/* paths.c: what has a name */
int open_path(const struct attempt *);
int open_of_guest(const struct attempt *);
int open_of_supervisor(const struct attempt *);
int connect_to(const struct attempt *);
int bind_at(const struct attempt *);
int make_file(const struct attempt *);
int take_away(const struct attempt *);
int plant_link(const struct attempt *);
int plant_fifo(const struct attempt *);
int plant_hard_link(const struct attempt *);
int device_node(const struct attempt *);
int inject_terminal(const struct attempt *);
int own_disk_immutable(const struct attempt *);
int open_by_handle(const struct attempt *);

/* processes.c: other processes, ids, namespaces, mounts */
int signal_supervisor(const struct attempt *);
int signal_guest(const struct attempt *);
int signal_thread(const struct attempt *);
int trace_guest(const struct attempt *);
int read_guest_memory(const struct attempt *);
int take_vm(const struct attempt *);
int join_namespaces(const struct attempt *);
int join_network(const struct attempt *);
int unshare_flags(const struct attempt *);
int clone_user(const struct attempt *);
int clone3_user(const struct attempt *);
int become_root(const struct attempt *);
int raise_capabilities(const struct attempt *);
int take_group(const struct attempt *);
int mount_new(const struct attempt *);
int mount_remount(const struct attempt *);
int mount_tree(const struct attempt *);
int mount_cgroup(const struct attempt *);
int change_root(const struct attempt *);
int setuid_file(const struct attempt *);

/* kernel.c: network, and interfaces of the kernel that a guest has no need of */
int net_tcp(const struct attempt *);
int net_udp(const struct attempt *);
int net_raw(const struct attempt *);
int net_packet(const struct attempt *);
int net_netlink(const struct attempt *);
int net_abstract(const struct attempt *);
int shared_memory(const struct attempt *);
int message_queue(const struct attempt *);
int host_name(const struct attempt *);
int add_a_key(const struct attempt *);
int find_keyring(const struct attempt *);
int bpf_map(const struct attempt *);
int perf_event(const struct attempt *);
int io_uring(const struct attempt *);
int user_faults(const struct attempt *);
int restart_keys(const struct attempt *);
int io_port(const struct attempt *);
int set_clock(const struct attempt *);
int kernel_log(const struct attempt *);
int real_time(const struct attempt *);
int other_numbers(const struct attempt *);

/* amounts.c: more than is given */
int grow_disk(const struct attempt *);
int fill_tmp(const struct attempt *);
int fill_sockets(const struct attempt *);
int fill_inodes(const struct attempt *);
int flood_log(const struct attempt *);
int take_memory(const struct attempt *);
int many_inodes(const struct attempt *);
int many_threads(const struct attempt *);
int many_files(const struct attempt *);
int raise_files(const struct attempt *);
int dump_core(const struct attempt *);
int lock_memory(const struct attempt *);
int inherited(const struct attempt *);

#endif
