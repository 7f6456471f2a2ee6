/* Ways out by a name: files, sockets, links, device nodes. Nothing that is opened is written to. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "escape.h"

#define QUIET (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int opened(const char *path, int flags) {
  int fd = open(path, flags | QUIET, 0600);
  if (fd < 0) return errno;
  close(fd);
  return OUT;
}

static int opened_of(const char *form, int process, int flags) {
  char path[128];
  snprintf(path, sizeof path, form, process);
  return opened(path, flags);
}

int open_path(const struct attempt *row) { return opened(row->path, row->flags); }

int open_of_guest(const struct attempt *row) {
  return opened_of(row->path, targets.guest, row->flags);
}

int open_of_supervisor(const struct attempt *row) {
  return opened_of(row->path, targets.supervisor, row->flags);
}

static struct sockaddr_un named(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

int connect_path(const char *path) {
  struct sockaddr_un address = named(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int failed = connect(fd, (struct sockaddr *)&address, sizeof address);
  /* EAGAIN: it may, and has to wait, as QEMU speaks with one at a time. */
  int code = failed && errno != EAGAIN ? errno : OUT;
  close(fd);
  return code;
}

int connect_to(const struct attempt *row) { return connect_path(row->path); }

int bind_at(const struct attempt *row) {
  struct sockaddr_un address = named(row->path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int failed = bind(fd, (struct sockaddr *)&address, sizeof address);
  int code = failed ? errno : OUT;
  if (!failed) unlink(row->path);
  close(fd);
  return code;
}

int make_file(const struct attempt *row) {
  int code = opened(row->path, O_RDWR | O_CREAT | O_EXCL);
  if (code == OUT) unlink(row->path);
  return code;
}

/* What stands in its place afterwards would be spoken to. */
int take_away(const struct attempt *row) { return unlink(row->path) == 0 ? OUT : errno; }

/* The link stays: the host looks afterwards whether it would follow it. */
int plant_link(const struct attempt *row) {
  return symlink("/etc/inittab", row->path) == 0 ? OUT : errno;
}

int plant_fifo(const struct attempt *row) {
  if (mknod(row->path, S_IFIFO | 0600, 0) != 0) return errno;
  unlink(row->path);
  return OUT;
}

int plant_hard_link(const struct attempt *row) {
  const char *made = "/var/rayos/vm/linux/hostile/planted";
  if (link(row->path, made) != 0) return errno;
  unlink(made);
  return OUT;
}

int device_node(const struct attempt *row) {
  unlink(row->path);
  if (mknod(row->path, S_IFBLK | 0600, (dev_t)targets.device) != 0) return errno;
  int code = opened(row->path, O_RDONLY);
  unlink(row->path);
  return code;
}

int inject_terminal(const struct attempt *row) {
  int fd = open(row->path, O_RDWR | QUIET);
  if (fd < 0) return errno;
  int code = ioctl(fd, TIOCSTI, "\n") == 0 ? OUT : errno;
  close(fd);
  return code;
}

/* The root of RayOS Data by its number in the file system, where every guest's disk lies. */
int open_by_handle(const struct attempt *row) {
  struct {
    struct file_handle head;
    unsigned int inode, generation;
  } handle = {.head = {.handle_bytes = 8, .handle_type = 1}, .inode = 2, .generation = 0};
  int of = open(row->path, O_RDONLY | QUIET);
  if (of < 0) return errno;
  int fd = open_by_handle_at(of, &handle.head, O_RDONLY);
  int code = fd < 0 ? errno : OUT;
  if (fd >= 0) close(fd);
  close(of);
  return code;
}

/* A disk that not even the host can change or remove. */
int own_disk_immutable(const struct attempt *row) {
  int fd = open(row->path, O_RDWR | QUIET);
  if (fd < 0) return errno;
  int flags = FS_EXTENT_FL | FS_IMMUTABLE_FL;
  int code = ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0 ? OUT : errno;
  flags = FS_EXTENT_FL;
  if (code == OUT) ioctl(fd, FS_IOC_SETFLAGS, &flags);
  close(fd);
  return code;
}
