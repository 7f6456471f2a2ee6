/* Ways to take more than is given: disk, memory, processes, inodes, log, descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "escape.h"

#define MIB (1024 * 1024)
#define BLOCK 65536

static int outcome(long result) { return result < 0 ? errno : OUT; }

/* Writes so many bytes; the errno that ended it early, or OUT. */
static int write_bytes(int fd, long bytes) {
  static char block[BLOCK];
  while (bytes > 0) {
    long wrote = write(fd, block, bytes < BLOCK ? (size_t)bytes : BLOCK);
    if (wrote < 0) return errno;
    bytes -= wrote;
  }
  return OUT;
}

/* The host gives it its size again. */
int grow_disk(const struct attempt *row) {
  struct stat disk;
  int fd = open(row->path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &disk) != 0) return errno;
  int code = outcome(pwrite(fd, "x", 1, disk.st_size + MIB));
  close(fd);
  return code;
}

/* Makes so many files, each with so many bytes, and takes them away again. */
static int make_files(const char *form, int count, long bytes, int keep) {
  char path[32];
  int code = OUT, made = 0;
  for (; made < count && code == OUT; made++) {
    snprintf(path, sizeof path, form, made);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      code = errno;
    } else {
      code = write_bytes(fd, bytes);
      close(fd);
    }
  }
  while (!keep && made-- > 0) {
    snprintf(path, sizeof path, form, made);
    unlink(path);
  }
  return code;
}

int fill_tmp(const struct attempt *row) { return make_files(row->path, 24, MIB, 0); }

int fill_sockets(const struct attempt *row) { return make_files(row->path, 1, MIB, 0); }

int fill_inodes(const struct attempt *row) { return make_files(row->path, 500, 0, 0); }

int many_inodes(const struct attempt *row) { return make_files(row->path, 150000, 0, 1); }

int flood_log(const struct attempt *row) {
  (void)row;
  int code = write_bytes(STDERR_FILENO, MIB + MIB / 2);
  if (ftruncate(STDERR_FILENO, 0) == 0) lseek(STDERR_FILENO, 0, SEEK_SET);
  return code;
}

int take_memory(const struct attempt *row) {
  (void)row;
  long bytes = 256L * MIB;
  char *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  for (long at = 0; at < bytes; at += 4096) memory[at] = 1;
  return OUT;
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *waits(void *nothing) {
  pthread_mutex_lock(&held);
  pthread_mutex_unlock(&held);
  return nothing;
}

int many_threads(const struct attempt *row) {
  (void)row;
  enum { MANY = 300 };
  static pthread_t threads[MANY];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 16384);
  int code = OUT, made = 0;
  pthread_mutex_lock(&held);
  while (made < MANY && code == OUT) {
    code = pthread_create(&threads[made], &small, waits, NULL);
    if (code == OUT) made++;
  }
  pthread_mutex_unlock(&held);
  while (made-- > 0) pthread_join(threads[made], NULL);
  return code;
}

int many_files(const struct attempt *row) {
  enum { MANY = 400 };
  int first = -1, last = -1, code = OUT;
  for (int made = 0; made < MANY && code == OUT; made++) {
    int fd = open(row->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) code = errno;
    else last = fd;
    if (first < 0) first = fd;
  }
  for (; first >= 0 && first <= last; first++) close(first);
  return code;
}

static int raise_limit(int of, rlim_t to) {
  struct rlimit limit = {to, to};
  return outcome(setrlimit(of, &limit));
}

int raise_files(const struct attempt *row) {
  (void)row;
  return raise_limit(RLIMIT_NOFILE, 1024);
}

int dump_core(const struct attempt *row) {
  (void)row;
  return raise_limit(RLIMIT_CORE, MIB);
}

int lock_memory(const struct attempt *row) {
  (void)row;
  static char page[4096];
  int code = outcome(mlock(page, sizeof page));
  if (code == OUT) munlock(page, sizeof page);
  return code;
}

/* Whatever is open besides the three and the file of rows was left by somebody. */
int inherited(const struct attempt *row) {
  (void)row;
  for (int fd = 3; fd < 256; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) return OUT;
  }
  return EBADF;
}
