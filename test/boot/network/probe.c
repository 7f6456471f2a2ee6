// Tries addresses and answers at them, for the test of guests' networks. Static, so that it runs in the
// test guest and on the host's image.
//   probe try <seconds> <name>=<tcp|udp>:<address>:<port>...   one line each: "reach <name> open|shut <why>"
//   probe serve <tcp|udp>:<address>:<port>...                   answers "hello" until it is killed
//   probe hear <seconds> <own port> <name>=udp:<address>:<port>  speaks to that place from that port, and says as `try`
//                                       does whether it answered (<name>_answer) and whether a third one was heard (<name>)
//   probe say <seconds> <own address> udp:<address>:<port>...   is that third one, from its port 53
// All at once, and one process: each costs much under nested emulation.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define CLIENTS 256

struct target {
  const char *name;
  int type;
  struct sockaddr_in at;
};

static int parse(char *word, struct target *to, int named) {
  memset(to, 0, sizeof *to);
  to->name = word;
  if (named) {
    char *equal = strchr(word, '=');
    if (equal == NULL) return -1;
    *equal = 0;
    word = equal + 1;
  }
  char *kind = strtok(word, ":"), *address = strtok(NULL, ":"), *port = strtok(NULL, ":");
  if (port == NULL) return -1;
  to->type = strcmp(kind, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
  to->at.sin_family = AF_INET;
  to->at.sin_port = htons(atoi(port));
  return inet_pton(AF_INET, address, &to->at.sin_addr) == 1 ? 0 : -1;
}

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int try(int count, char **words, int seconds) {
  struct target to[MOST];
  struct pollfd fds[MOST];
  int left = count;
  for (int n = 0; n < count; n++) {
    if (parse(words[n], &to[n], 1) != 0) return 2;
    fds[n].fd = socket(AF_INET, to[n].type | SOCK_NONBLOCK, 0);
    fds[n].events = to[n].type == SOCK_STREAM ? POLLOUT : POLLIN;
    int done = connect(fds[n].fd, (void *)&to[n].at, sizeof to[n].at);
    if (done == 0 && to[n].type == SOCK_DGRAM) done = send(fds[n].fd, "hi\n", 3, 0);
    if (done < 0 && errno != EINPROGRESS) {
      printf("reach %s shut %s\n", to[n].name, strerror(errno));
      close(fds[n].fd);
      fds[n].fd = -1;
      left--;
    }
  }
  for (long end = now() + seconds * 1000L; left > 0 && now() < end;) {
    if (poll(fds, count, end - now()) < 0) return 2;
    for (int n = 0; n < count; n++) {
      if (fds[n].fd < 0 || fds[n].revents == 0) continue;
      if (fds[n].events == POLLOUT && (fds[n].revents & (POLLERR | POLLHUP)) == 0) {
        send(fds[n].fd, "hi\n", 3, MSG_NOSIGNAL);
        fds[n].events = POLLIN;
        continue;
      }
      char answer[8] = "";
      int got = recv(fds[n].fd, answer, sizeof answer - 1, 0);
      if (got == 5 && strcmp(answer, "hello") == 0) printf("reach %s open\n", to[n].name);
      else printf("reach %s shut %s\n", to[n].name, got < 0 ? strerror(errno) : "closed");
      close(fds[n].fd);
      fds[n].fd = -1;
      left--;
    }
  }
  for (int n = 0; n < count; n++)
    if (fds[n].fd >= 0) printf("reach %s shut no answer\n", to[n].name);
  return 0;
}

/* A word is answered, and the other end closes first: a proxy in between may take an early end for a fault. */
static int serve(int count, char **words) {
  struct target at[MOST];
  struct pollfd fds[MOST + CLIENTS];
  int used = count, yes = 1;
  signal(SIGPIPE, SIG_IGN);
  for (int n = 0; n < count; n++) {
    if (parse(words[n], &at[n], 0) != 0) return 2;
    fds[n].fd = socket(AF_INET, at[n].type, 0);
    fds[n].events = POLLIN;
    setsockopt(fds[n].fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fds[n].fd, (void *)&at[n].at, sizeof at[n].at) != 0) return 3;
    if (at[n].type == SOCK_STREAM) listen(fds[n].fd, 64);
  }
  for (;;) {
    if (poll(fds, used, -1) < 0) return 2;
    char word[1500];
    for (int n = used - 1; n >= count; n--) {
      if (fds[n].revents == 0) continue;
      if (recv(fds[n].fd, word, sizeof word, 0) > 0) {
        send(fds[n].fd, "hello", 5, MSG_NOSIGNAL);
      } else {
        close(fds[n].fd);
        fds[n] = fds[--used];
      }
    }
    for (int n = 0; n < count; n++) {
      if (fds[n].revents == 0) continue;
      struct sockaddr_in from;
      socklen_t size = sizeof from;
      if (at[n].type == SOCK_STREAM) {
        int client = accept(fds[n].fd, NULL, NULL);
        if (client < 0) continue;
        if (used == count + CLIENTS) close(client);
        else fds[used++] = (struct pollfd){.fd = client, .events = POLLIN};
      } else if (recvfrom(fds[n].fd, word, sizeof word, 0, (void *)&from, &size) >= 0) {
        sendto(fds[n].fd, "hello", 5, 0, (void *)&from, size);
      }
    }
  }
}

static int spoken(const char *own, int port) {
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (inet_pton(AF_INET, own, &from.sin_addr) != 1 || bind(fd, (void *)&from, sizeof from) != 0) return -1;
  return fd;
}

static int hear(int seconds, int port, char *word) {
  struct target to;
  if (parse(word, &to, 1) != 0) return 2;
  struct pollfd one = {.fd = spoken("0.0.0.0", port), .events = POLLIN};
  if (one.fd < 0) return 3;
  int answered = 0, third = 0;
  for (long end = now() + seconds * 1000L; !(answered && third) && now() < end;) {
    // Again and again, so that the way back stays open.
    sendto(one.fd, "hi\n", 3, 0, (void *)&to.at, sizeof to.at);
    if (poll(&one, 1, 500) <= 0) continue;
    char text[8] = "";
    if (recv(one.fd, text, sizeof text - 1, 0) != 5) continue;
    answered |= strcmp(text, "hello") == 0;
    third |= strcmp(text, "third") == 0;
  }
  printf("reach %s_answer %s\n", to.name, answered ? "open" : "shut");
  printf("reach %s %s\n", to.name, third ? "open" : "shut");
  return 0;
}

static int say(int seconds, const char *own, int count, char **words) {
  struct target to[MOST];
  for (int n = 0; n < count; n++)
    if (parse(words[n], &to[n], 0) != 0) return 2;
  int fd = spoken(own, 53);
  if (fd < 0) return 3;
  for (long end = now() + seconds * 1000L; now() < end; usleep(200000))
    for (int n = 0; n < count; n++) sendto(fd, "third", 5, 0, (void *)&to[n].at, sizeof to[n].at);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (argc > 3 && strcmp(argv[1], "try") == 0 && argc - 3 <= MOST)
    return try(argc - 3, argv + 3, atoi(argv[2]));
  if (argc > 2 && strcmp(argv[1], "serve") == 0 && argc - 2 <= MOST) return serve(argc - 2, argv + 2);
  if (argc == 5 && strcmp(argv[1], "hear") == 0) return hear(atoi(argv[2]), atoi(argv[3]), argv[4]);
  if (argc > 4 && strcmp(argv[1], "say") == 0 && argc - 4 <= MOST)
    return say(atoi(argv[2]), argv[3], argc - 4, argv + 4);
  return 2;
}
