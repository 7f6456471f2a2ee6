/* Ways out by other processes, ids, namespaces and mounts. Signal 0 asks only whether one may. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "escape.h"

static int outcome(long result) { return result < 0 ? errno : OUT; }

static int close_outcome(long fd) {
  int code = outcome(fd);
  if (fd >= 0) close((int)fd);
  return code;
}

int signal_supervisor(const struct attempt *row) {
  (void)row;
  return outcome(kill(targets.supervisor, 0));
}

int signal_guest(const struct attempt *row) {
  (void)row;
  return outcome(kill(targets.guest, 0));
}

int signal_thread(const struct attempt *row) {
  (void)row;
  return outcome(syscall(SYS_tgkill, targets.supervisor, targets.supervisor, 0));
}

/* Lets go again when this process ends. */
int trace_guest(const struct attempt *row) {
  (void)row;
  return outcome(ptrace(PTRACE_SEIZE, targets.guest, NULL, NULL));
}

int read_guest_memory(const struct attempt *row) {
  (void)row;
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)4096, 1};
  int code = outcome(process_vm_readv(targets.guest, &here, 1, &there, 1, 0));
  /* Nothing lies at that address, which only somebody who may read there is told. */
  return code == EFAULT ? OUT : code;
}

int take_vm(const struct attempt *row) {
  (void)row;
  int of = (int)syscall(SYS_pidfd_open, targets.guest, 0);
  if (of < 0) return errno;
  int code = close_outcome(syscall(SYS_pidfd_getfd, of, targets.vm_fd, 0));
  close(of);
  return code;
}

int join_namespaces(const struct attempt *row) {
  (void)row;
  int of = (int)syscall(SYS_pidfd_open, targets.supervisor, 0);
  if (of < 0) return errno;
  int code = outcome(setns(of, CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC));
  close(of);
  return code;
}

int join_network(const struct attempt *row) {
  int of = open(row->path, O_RDONLY | O_CLOEXEC);
  if (of < 0) return errno;
  int code = outcome(setns(of, CLONE_NEWNET));
  close(of);
  return code;
}

int unshare_flags(const struct attempt *row) { return outcome(unshare(row->flags)); }

static int child_outcome(long child) {
  if (child < 0) return errno;
  if (child == 0) _exit(0);
  waitpid((pid_t)child, NULL, __WALL);
  return OUT;
}

int clone_user(const struct attempt *row) {
  (void)row;
  return child_outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

int clone3_user(const struct attempt *row) {
  (void)row;
  struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  return child_outcome(syscall(SYS_clone3, &args, sizeof args));
}

int become_root(const struct attempt *row) {
  (void)row;
  return outcome(syscall(SYS_setresuid, 0, 0, 0));
}

int raise_capabilities(const struct attempt *row) {
  (void)row;
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  memset(data, 0, sizeof data);
  if (syscall(SYS_capget, &head, data) != 0) return errno;
  data[0].permitted |= 1u << CAP_SYS_ADMIN;
  data[0].effective |= 1u << CAP_SYS_ADMIN;
  return outcome(syscall(SYS_capset, &head, data));
}

int take_group(const struct attempt *row) {
  (void)row;
  gid_t group = 0;
  return outcome(syscall(SYS_setgroups, 1, &group));
}

int mount_new(const struct attempt *row) {
  (void)row;
  mkdir("/tmp/m", 0700);
  int code = outcome(mount("m", "/tmp/m", "tmpfs", 0, NULL));
  if (code == OUT) umount2("/tmp/m", MNT_DETACH);
  rmdir("/tmp/m");
  return code;
}

/* The jail's read-only folder becomes writable; afterwards it is what it was. */
int mount_remount(const struct attempt *row) {
  int code = outcome(mount(NULL, row->path, NULL, MS_REMOUNT | MS_BIND, NULL));
  if (code == OUT) mount(NULL, row->path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
  return code;
}

/* A copy of a part of the mount tree, to be put elsewhere. */
int mount_tree(const struct attempt *row) {
  (void)row;
  return close_outcome(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}

int mount_cgroup(const struct attempt *row) {
  (void)row;
  struct stat seen;
  mkdir("/tmp/c", 0700);
  int code = outcome(mount("c", "/tmp/c", "cgroup2", 0, NULL));
  if (code == OUT) {
    /* Only the whole tree has this group. */
    if (stat("/tmp/c/rayos", &seen) != 0) code = OWN;
    umount2("/tmp/c", MNT_DETACH);
  }
  rmdir("/tmp/c");
  return code;
}

int change_root(const struct attempt *row) {
  (void)row;
  return outcome(chroot("/"));
}

/* The last row of its run: the file is this very program, and answers in this row's name. */
int setuid_file(const struct attempt *row) {
  char number[16];
  char *words[] = {(char *)row->path, "setuid", number, NULL};
  char *none[] = {NULL};
  snprintf(number, sizeof number, "%d", rows);
  fcntl(rows, F_SETFD, 0);
  execve(row->path, words, none);
  return errno;
}
