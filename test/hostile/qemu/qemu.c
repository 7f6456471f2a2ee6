/*
 * The QMP side, and the start: it takes QEMU's arguments, makes its sockets in QEMU's order, holds its disk
 * open and puts a filter on itself, as the host reads back of a QEMU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "qemu.h"

#define MOST 8
#define LONG_LINE (10 * 1024 * 1024)
#define GIGABYTE (1024L * 1024 * 1024)

static const char *name = "", *uuid = "";
static int is_silent;

int mode_is(const char *wanted) {
  char mode[64] = {0};
  int file = open(MODE, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? 0 : read(file, mode, sizeof mode - 1);
  if (file >= 0) close(file);
  mode[got < 0 ? 0 : got] = 0;
  mode[strcspn(mode, "\n")] = 0;
  return strcmp(mode, wanted) == 0;
}

int say(int host, const void *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t put = write(host, (const char *)bytes + at, length - at);
    if (put <= 0) return 0;
    at += (size_t)put;
  }
  return 1;
}

int hear(int host, void *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t got = read(host, (char *)bytes + at, length - at);
    if (got <= 0) return 0;
    at += (size_t)got;
  }
  return 1;
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(made, 4) != 0) {
    _exit(5);
  }
  return made;
}

/* One that lets everything pass: the host asks how many there are, and cannot ask what they do. */
static void filter_like_qemu(void) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {.len = 1, .filter = &allow};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) _exit(6);
}

static void flood(int host) {
  static const char event[] = "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":1}}\n";
  static char lines[1024 * (sizeof event - 1)];
  for (size_t n = 0; n < 1024; n++) {
    memcpy(lines + n * (sizeof event - 1), event, sizeof event - 1);
  }
  while (say(host, lines, sizeof lines)) {
  }
}

static void say_long_line(int host) {
  static char piece[64 * 1024];
  memset(piece, 'x', sizeof piece);
  for (size_t at = 0; at < LONG_LINE && say(host, piece, sizeof piece); at += sizeof piece) {
  }
}

/* Answers one command; what is attacked is attacked once the guest was let go. */
static void answer(int host, const char *line) {
  char text[512];
  const char *id = strstr(line, "\"id\":");
  int number = id == NULL ? 0 : atoi(id + 5);
#define IS(command) (strstr(line, "\"execute\":\"" command "\"") != NULL)
  if (is_silent || (IS("input-send-event") && mode_is("qmp-input"))) return;
  const char *value = "{}";
  char made[256];
  if (IS("query-uuid")) {
    const char *own = mode_is("qmp-other-uuid") ? "5d0a3c6e-0000-4000-8000-0000000000ff" : uuid;
    snprintf(made, sizeof made, "{\"UUID\":\"%s\"}", own);
    value = made;
  } else if (IS("query-name")) {
    snprintf(made, sizeof made, "{\"name\":\"%s\"}", name);
    value = made;
  } else if (IS("query-status")) {
    value = "{\"running\":true,\"status\":\"running\"}";
  } else if (IS("qom-list")) {
    value = "[]";
  } else if (IS("quit") || IS("system_powerdown")) {
    _exit(0);
  }
  int length = snprintf(text, sizeof text, "{\"return\":%s,\"id\":%d}\n", value, number);
  say(host, text, (size_t)length);
  if (!IS("cont")) return;
  if (mode_is("qmp-flood")) flood(host);
  if (mode_is("qmp-long")) say_long_line(host);
  is_silent = mode_is("qmp-silent");
}

/* Takes what has come, line by line; 0 at the end of the connection. */
static int take_qmp(int host) {
  static char held[64 * 1024];
  static size_t length;
  ssize_t got = read(host, held + length, sizeof held - 1 - length);
  if (got <= 0) return length = 0;
  length += (size_t)got;
  char *end;
  while ((end = memchr(held, '\n', length)) != NULL) {
    *end = 0;
    answer(host, held);
    length -= (size_t)(end + 1 - held);
    memmove(held, end + 1, length);
  }
  return 1;
}

/* The console, and how much of the gigabyte it has still to say there. */
static int console = -1;
static long left;

/* Lines of the host's own, as many as go through now; then that it is over. The jail knows no sendto(2). */
static void say_gigabyte(void) {
  static const char line[] = "2026-11-24T12:00:00.000Z INFO init RAYOS_READY mode=gigabyte\n";
  static const char over[] = "gigabyte over\n";
  static char lines[1024 * (sizeof line - 1)];
  if (lines[0] == 0) {
    for (size_t n = 0; n < 1024; n++) memcpy(lines + n * (sizeof line - 1), line, sizeof line - 1);
  }
  if (left > 0) {
    /* Wherever the one before was cut, the next one begins a line. */
    ssize_t put = write(console, lines, sizeof lines);
    if (put > 0) left -= put;
    if (put < 0 && errno != EAGAIN) console = -1;
  } else if (write(console, over, sizeof over - 1) > 0) {
    console = -1;
  }
}

static void greet(int host) {
  static const char greeting[] =
      "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":19},\"package\":\"\"},"
      "\"capabilities\":[]}}\n";
  if (!mode_is("qmp-mute")) say(host, greeting, sizeof greeting - 1);
}

int main(int count, char **words) {
  const char *qmp_path = NULL;
  int vnc = -1, qmp = -1, quiet[MOST], quiets = 0, host = -1, talker = -1;
  for (int i = 1; i + 1 < count; i++) {
    const char *value = words[i + 1], *path = strstr(value, ",path=/s/");
    if (strcmp(words[i], "-name") == 0) name = value;
    if (strcmp(words[i], "-uuid") == 0) uuid = value;
    if (strcmp(words[i], "-display") == 0 && strncmp(value, "vnc=unix:", 9) == 0) {
      vnc = listen_at(value + 9);
    }
    if (strcmp(words[i], "-chardev") != 0 || path == NULL) continue;
    char *own = strndup(path + 6, strcspn(path + 6, ","));
    if (strstr(value, "id=qmp,") != NULL) qmp_path = own;
    else if (quiets < MOST) {
      if (strstr(value, "id=console,") != NULL) talker = quiets;
      quiet[quiets++] = listen_at(own);
    }
  }
  if (qmp_path == NULL || open("/g/disk0", O_RDWR | O_CLOEXEC) < 0) return 4;
  signal(SIGPIPE, SIG_IGN);
  filter_like_qemu();
  /* The launcher waits for this one. */
  qmp = listen_at(qmp_path);
  for (;;) {
    struct pollfd ready[3 + MOST] = {{.fd = host >= 0 ? host : qmp, .events = POLLIN},
                                     {.fd = vnc, .events = POLLIN}};
    for (int i = 0; i < quiets; i++) ready[2 + i] = (struct pollfd){quiet[i], POLLIN, 0};
    ready[2 + quiets] = (struct pollfd){console, POLLOUT, 0};
    if (poll(ready, (nfds_t)(3 + quiets), -1) < 0 && errno != EINTR) return 7;
    if (ready[2 + quiets].revents != 0) say_gigabyte();
    if (ready[0].revents != 0 && host < 0) {
      host = accept4(qmp, NULL, NULL, SOCK_CLOEXEC);
      if (host >= 0) greet(host);
    } else if (ready[0].revents != 0 && !take_qmp(host)) {
      close(host);
      host = -1;
    }
    if (ready[1].revents != 0) {
      int viewer = accept4(vnc, NULL, NULL, SOCK_CLOEXEC);
      if (viewer >= 0) serve_vnc(viewer);
      if (viewer >= 0) close(viewer);
    }
    /* Console and agent: a connection that says nothing, but where the test wants the console to. */
    for (int i = 0; i < quiets; i++) {
      if (ready[2 + i].revents == 0) continue;
      int other = accept4(quiet[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (i != talker || !mode_is("console-gigabyte")) continue;
      console = other;
      left = GIGABYTE;
    }
  }
}
