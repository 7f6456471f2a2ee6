/*
 * Runs the table. In the jail it takes QEMU's arguments, of which `-uuid` carries what it is to know;
 * it makes the socket that the launcher waits for, waits for the host's first connection, and writes a
 * line `row <name> <answer>` a row to /s/rows. On the host `escape host` holds out what the rows shall
 * not reach, and `escape poke <socket>` makes that first connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "escape.h"

#define ROWS "/s/rows"
#define SOCKET "/s/qmp.sock"
/* Room for all rows, taken before a row fills the file system. */
#define ROOM 8192
#define PATIENCE_S 30
#define OWN_STATUS 255

struct targets targets;
int rows = -1;

static void say(const char *name, const char *answer) {
  char line[128];
  int length = snprintf(line, sizeof line, "row %s %s\n", name, answer);
  if (write(rows, line, (size_t)length) != length) _exit(3);
}

static void answer(const char *name, int code) {
  const char *word = code == OUT ? "ok" : code == OWN ? "own" : strerrorname_np(code);
  say(name, word != NULL ? word : "unknown");
}

/* A child of its own, so that a row that changes its process changes no other; null: no child to be had. */
static int in_child(const struct attempt *row) {
  pid_t child = fork();
  if (child < 0) return 0;
  if (child == 0) {
    alarm(PATIENCE_S);
    int code = row->tries(row);
    _exit(code == OWN ? OWN_STATUS : code);
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    char word[32];
    snprintf(word, sizeof word, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    say(row->name, word);
  } else {
    int code = WEXITSTATUS(status);
    answer(row->name, code == OWN_STATUS ? OWN : code);
  }
  return 1;
}

/* Stays, as the host has yet to look; pause(2) is none of the calls that are allowed. */
static _Noreturn void end(void) {
  say("end", "ok");
  for (;;) poll(NULL, 0, -1);
}

static void open_rows(void) {
  char room[ROOM];
  rows = open(ROWS, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  memset(room, '\n', sizeof room);
  if (rows < 0 || pwrite(rows, room, sizeof room, 0) != ROOM) _exit(4);
}

/* As QEMU does; then it waits for the host. */
static void listen_as_qemu(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(made, 1) != 0) {
    _exit(5);
  }
  int host = accept4(made, NULL, NULL, SOCK_CLOEXEC);
  if (host < 0) _exit(6);
  close(host);
  close(made);
}

static const char *value_of(int count, char **words, const char *option) {
  for (int i = 1; i + 1 < count; i++) {
    if (strcmp(words[i], option) == 0) return words[i + 1];
  }
  return NULL;
}

int main(int count, char **words) {
  if (count == 2 && strcmp(words[1], "host") == 0) return hold_out();
  if (count == 3 && strcmp(words[1], "poke") == 0) return connect_path(words[2]);
  if (count == 3 && strcmp(words[1], "setuid") == 0) {
    /* The setuid file itself: whose id it has tells whether the bit did anything. */
    rows = atoi(words[2]);
    answer("setuid_file", geteuid() == 0 ? OUT : OWN);
    end();
  }
  const char *told = value_of(count, words, "-uuid");
  char only[32];
  if (told == NULL ||
      sscanf(told, "%31s %d %d %d %lu %lu", only, &targets.supervisor, &targets.guest,
             &targets.vm_fd, &targets.device, &targets.cookie) != 6) {
    return 2;
  }
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  open_rows();
  listen_as_qemu();
  for (const struct attempt *row = attempts; row->name != NULL; row++) {
    int final = row->tries == take_memory || row->tries == many_inodes ||
                row->tries == other_numbers || row->tries == take_away || row->tries == setuid_file;
    if (final ? strcmp(only, row->name) != 0 : strcmp(only, "all") != 0) continue;
    if (final || !in_child(row)) answer(row->name, row->tries(row));
  }
  end();
}
