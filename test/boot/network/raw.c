// Frames as no honest guest sends them, for the tests of guests' networks. Static, so that it runs in the
// test guest and on the host's image.
//   raw flood <interface>            as many datagrams as it can until it is killed; a count each second
//   raw spoof <interface> <address>...   for each address frames under false names (below), then a count
//   raw watch <interface>            one line for each kind of such a frame that it sees, and when it is told to end
//                                    (SIGTERM) how many frames there were in all
// All of them are told by their payload, or by the sender's hardware address in ARP.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK "rayos-raw"
#define PORT 9999
#define KINDS 64

static const unsigned char EVERYBODY[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// No guest's (those begin with 52:54), and locally administered.
static const unsigned char FALSE_MAC[6] = {0x02, 0x66, 0x61, 0x6c, 0x73, 0x65};
// Another guest's, an address of the uplink's own network, one of nobody.
static const char *FALSE_ADDRESSES[] = {"198.18.1.2", "192.168.77.50", "11.12.13.14"};

static int opened(const char *name) {
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003), .sll_ifindex = if_nametoindex(name)};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(0x0003));
  if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (void *)&at, sizeof at) != 0) {
    perror("raw");
    exit(3);
  }
  return fd;
}

static unsigned sum(const unsigned char *bytes, int length) {
  unsigned all = 0;
  for (int n = 0; n < length; n += 2) all += bytes[n] << 8 | bytes[n + 1];
  while (all >> 16) all = (all & 0xffff) + (all >> 16);
  return ~all & 0xffff;
}

static void put16(unsigned char *at, unsigned value) {
  at[0] = value >> 8;
  at[1] = value;
}

/* A datagram of IPv4 in a frame; without a checksum of its own (RFC 768). Gives its length. */
static int datagram(unsigned char *frame, const unsigned char *to, const unsigned char *from, in_addr_t source, in_addr_t target) {
  int all = 14 + 20 + 8 + sizeof MARK;
  memset(frame, 0, all);
  memcpy(frame, to, 6);
  memcpy(frame + 6, from, 6);
  put16(frame + 12, 0x0800);
  unsigned char *ip = frame + 14, *udp = ip + 20;
  ip[0] = 0x45;
  put16(ip + 2, all - 14);
  ip[8] = 64;
  ip[9] = 17;
  memcpy(ip + 12, &source, 4);
  memcpy(ip + 16, &target, 4);
  put16(ip + 10, sum(ip, 20));
  put16(udp, PORT);
  put16(udp + 2, PORT);
  put16(udp + 4, all - 34);
  memcpy(udp + 8, MARK, sizeof MARK);
  return all;
}

/* Asks for an address, or says that it is at the false hardware address (RFC 826). */
static int arp(unsigned char *frame, int answer, in_addr_t source, in_addr_t target) {
  memset(frame, 0, 60);
  memcpy(frame, EVERYBODY, 6);
  memcpy(frame + 6, FALSE_MAC, 6);
  put16(frame + 12, 0x0806);
  put16(frame + 14, 1);
  put16(frame + 16, 0x0800);
  frame[18] = 6;
  frame[19] = 4;
  put16(frame + 20, answer ? 2 : 1);
  memcpy(frame + 22, FALSE_MAC, 6);
  memcpy(frame + 28, &source, 4);
  if (answer) memcpy(frame + 32, EVERYBODY, 6);
  memcpy(frame + 38, &target, 4);
  return 60;
}

static int spoof(const char *name, int count, char **words) {
  int fd = opened(name), sent = 0;
  unsigned char frame[256], near[6] = {0};
  // Whoever answers for the router; under its own name, since the card takes no answers to another one.
  unsigned char asked[64];
  int length = arp(asked, 0, inet_addr("198.19.0.2"), inet_addr("198.19.0.1"));
  struct sockaddr_ll own;
  socklen_t size = sizeof own;
  getsockname(fd, (void *)&own, &size);
  memcpy(asked + 6, own.sll_addr, 6);
  memcpy(asked + 22, own.sll_addr, 6);
  for (int tries = 0; tries < 50 && near[0] == 0; tries++) {
    if (send(fd, asked, length, 0) < 0) return 3;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (poll(&one, 1, 100) > 0 && recv(fd, frame, sizeof frame, 0) >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2)
      memcpy(near, frame + 22, 6);
  }
  const unsigned char *targets[] = {near, EVERYBODY, FALSE_MAC};
  for (int round = 0; round < 3; round++)
    for (int n = 0; n < count; n++) {
      in_addr_t target = inet_addr(words[n]);
      for (unsigned source = 0; source < sizeof FALSE_ADDRESSES / sizeof *FALSE_ADDRESSES; source++) {
        in_addr_t from = inet_addr(FALSE_ADDRESSES[source]);
        for (int answer = 0; answer < 2; answer++) sent += send(fd, frame, arp(frame, answer, from, target), 0) > 0;
        for (int to = 0; to < 3; to++) {
          length = datagram(frame, targets[to], FALSE_MAC, from, target);
          sent += send(fd, frame, length, 0) > 0;
          // The same in a VLAN (802.1Q), and one of a protocol that nobody asked for.
          memmove(frame + 16, frame + 12, length - 12);
          put16(frame + 12, 0x8100);
          put16(frame + 14, 7);
          sent += send(fd, frame, length + 4, 0) > 0;
          put16(frame + 12, 0x88b5);
          sent += send(fd, frame, length, 0) > 0;
        }
        usleep(2000);
      }
    }
  printf("raw spoof router %02x:%02x:%02x sent %d\n", near[0], near[1], near[2], sent);
  return 0;
}

static int flood(const char *name) {
  int fd = opened(name);
  unsigned char frame[256];
  int length = datagram(frame, EVERYBODY, FALSE_MAC, inet_addr("198.19.0.2"), inet_addr("93.184.216.34"));
  time_t second = time(NULL);
  for (long sent = 0;;) {
    if (send(fd, frame, length, 0) > 0) sent++;
    else if (if_nametoindex(name) == 0) break;
    if (time(NULL) == second) continue;
    printf("raw flood %ld\n", sent);
    second = time(NULL);
    sent = 0;
  }
  puts("raw flood: the card is gone");
  return 0;
}

static volatile sig_atomic_t ended;
static void end(int signal) { ended = signal; }

static int watch(const char *name) {
  signal(SIGTERM, end);
  int fd = opened(name), kinds = 0;
  long all = 0;
  char seen[KINDS][64];
  while (!ended) {
    unsigned char frame[2048];
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    if (poll(&one, 1, 500) <= 0) continue;
    int got = recvfrom(fd, frame, sizeof frame, 0, (void *)&from, &size);
    // Not what this end has sent itself.
    if (got < 14 || from.sll_pkttype == PACKET_OUTGOING) continue;
    all++;
    char line[64] = "";
    if (memcmp(frame + 6, FALSE_MAC, 6) == 0) snprintf(line, sizeof line, "frame %02x%02x", frame[12], frame[13]);
    else if (frame[12] == 8 && frame[13] == 6 && memcmp(frame + 22, FALSE_MAC, 6) == 0) strcpy(line, "arp");
    else if (memmem(frame, got, MARK, sizeof MARK) != NULL) {
      struct in_addr source, target;
      memcpy(&source, frame + 26, 4);
      memcpy(&target, frame + 30, 4);
      int used = snprintf(line, sizeof line, "datagram %s ", inet_ntoa(source));
      snprintf(line + used, sizeof line - used, "%s", inet_ntoa(target));
    }
    int known = line[0] == 0;
    for (int n = 0; n < kinds; n++) known |= strcmp(seen[n], line) == 0;
    if (known || kinds == KINDS) continue;
    strcpy(seen[kinds++], line);
    printf("raw saw %s\n", line);
  }
  printf("raw watched %ld frames\n", all);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 3 && strcmp(argv[1], "flood") == 0) return flood(argv[2]);
  if (argc > 3 && strcmp(argv[1], "spoof") == 0) return spoof(argv[2], argc - 3, argv + 3);
  if (argc == 3 && strcmp(argv[1], "watch") == 0) return watch(argv[2]);
  return 2;
}
