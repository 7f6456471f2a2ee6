// Traffic that is measured, for tools/rayos bench devices. Static, so that it runs in the test guest and on
// the host's image. Times are CLOCK_MONOTONIC where both ends of one are on one machine.
//   traffic serve <port>                      answers the three below, and the datagrams of beat, until it is killed
//   traffic down|up <address> <port> <bytes>  "traffic down <bytes> <microseconds>"
//   traffic connect <address> <port> <count>  "traffic connect <microseconds>" each: to the answer of one byte
//   traffic beat <address> <port>             a datagram each 5 ms, also while there is no way; never ends
// The server prints, for datagrams that stop for two seconds, "traffic beats <first> <last>" in ms of the
// wall clock.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536
static char block[BLOCK];

static long long clock_us(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}
static long long now_us(void) { return clock_us(CLOCK_MONOTONIC); }

static struct sockaddr_in place(const char *address, const char *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  inet_pton(AF_INET, address, &at.sin_addr);
  return at;
}

static int send_all(int fd, long bytes) {
  while (bytes > 0) {
    ssize_t sent = send(fd, block, bytes < BLOCK ? bytes : BLOCK, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    bytes -= sent;
  }
  return 0;
}
static int take_all(int fd, long bytes) {
  while (bytes > 0) {
    ssize_t got = recv(fd, block, bytes < BLOCK ? bytes : BLOCK, 0);
    if (got <= 0) return -1;
    bytes -= got;
  }
  return 0;
}

/* One client after the other: a letter and a number of bytes. */
static void answer(int fd) {
  char word[17] = "";
  if (recv(fd, word, 16, MSG_WAITALL) == 16) {
    long bytes = atol(word + 1);
    if (word[0] == 'd') send_all(fd, bytes);
    else if (word[0] == 'u') take_all(fd, bytes);
    if (word[0] != 'd') send(fd, "k", 1, MSG_NOSIGNAL);
  }
  // The other end closes first.
  recv(fd, word, 1, 0);
  close(fd);
}

static int serve(const char *port) {
  struct sockaddr_in at = place("0.0.0.0", port);
  int yes = 1, tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(tcp, (void *)&at, sizeof at) != 0 || bind(udp, (void *)&at, sizeof at) != 0 || listen(tcp, 64) != 0) return 3;
  struct pollfd fds[2] = {{.fd = tcp, .events = POLLIN}, {.fd = udp, .events = POLLIN}};
  long long first = 0, last = 0;
  for (;;) {
    int ready = poll(fds, 2, 500);
    long long now = clock_us(CLOCK_REALTIME) / 1000;
    if (ready > 0 && fds[1].revents && recv(udp, block, BLOCK, 0) >= 0) {
      if (first == 0) {
        first = now;
        printf("traffic begins %lld\n", first);
      }
      last = now;
    }
    if (first != 0 && now - last > 2000) {
      printf("traffic beats %lld %lld\n", first, last);
      first = 0;
    }
    if (ready > 0 && fds[0].revents) {
      int client = accept(tcp, NULL, NULL);
      if (client >= 0) answer(client);
    }
  }
}

static int asked(const struct sockaddr_in *at, char what, long bytes) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  char word[17];
  snprintf(word, sizeof word, "%c%-15ld", what, bytes);
  if (connect(fd, (const void *)at, sizeof *at) != 0 || send(fd, word, 16, 0) != 16) {
    perror("traffic");
    exit(3);
  }
  return fd;
}

static int transfer(char what, const struct sockaddr_in *at, long bytes) {
  int fd = asked(at, what, bytes), failed;
  long long began = now_us();
  if (what == 'd') failed = take_all(fd, bytes);
  else failed = send_all(fd, bytes) != 0 || recv(fd, block, 1, 0) != 1;
  if (failed) return 3;
  printf("traffic %s %ld %lld\n", what == 'd' ? "down" : "up", bytes, now_us() - began);
  close(fd);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve(argv[2]);
  if (argc < 4) return 2;
  struct sockaddr_in at = place(argv[2], argv[3]);
  if (argc == 5 && strcmp(argv[1], "down") == 0) return transfer('d', &at, atol(argv[4]));
  if (argc == 5 && strcmp(argv[1], "up") == 0) return transfer('u', &at, atol(argv[4]));
  if (argc == 5 && strcmp(argv[1], "connect") == 0) {
    for (int n = atoi(argv[4]); n > 0; n--) {
      long long began = now_us();
      int fd = asked(&at, 'c', 0);
      if (recv(fd, block, 1, 0) != 1) return 3;
      printf("traffic connect %lld\n", now_us() - began);
      close(fd);
    }
    return 0;
  }
  if (argc == 4 && strcmp(argv[1], "beat") == 0) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (;; usleep(5000)) sendto(fd, "beat", 4, 0, (void *)&at, sizeof at);
  }
  return 2;
}
