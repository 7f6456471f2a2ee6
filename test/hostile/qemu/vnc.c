/* The RFB side: the handshake as it should be up to the place where an attack leaves it. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu.h"

#define WIDTH 1024
#define HEIGHT 768
/* Encodings (RFC 6143, section 7.7), those that are none signed. */
#define RAW 0
#define COPY 1
#define TIGHT 7
#define CURSOR (-239)
#define SIZE (-223)

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

/* Until the host closes the connection, so that what is judged is what was said. */
static void wait_for_end(int host) {
  uint8_t any[512];
  while (read(host, any, sizeof any) > 0) {
  }
}

static int server_init(int host, unsigned width, unsigned height, uint32_t name) {
  uint8_t init[24] = {0};
  put16(init, width);
  put16(init + 2, height);
  put16(init + 20, name >> 16);
  put16(init + 22, name & 0xffff);
  return say(host, init, sizeof init);
}

/* The head of an update with so many rectangles. */
static void begin_update(int host, unsigned count) {
  uint8_t head[4] = {0};
  put16(head + 2, count);
  say(host, head, sizeof head);
}

static int rectangle(int host, unsigned x, unsigned y, unsigned width, unsigned height,
                     int32_t encoding) {
  uint8_t head[12];
  put16(head, x);
  put16(head + 2, y);
  put16(head + 4, width);
  put16(head + 6, height);
  put16(head + 8, (uint32_t)encoding >> 16);
  put16(head + 10, (uint32_t)encoding & 0xffff);
  return say(host, head, sizeof head);
}

static void one_rectangle(int host, unsigned x, unsigned y, unsigned width, unsigned height,
                          int32_t encoding) {
  begin_update(host, 1);
  rectangle(host, x, y, width, height, encoding);
}

/* 65535 copies of the whole desktop onto itself. */
static void many_rectangles(int host) {
  static const uint8_t from[4] = {0};
  begin_update(host, 65535);
  for (int n = 0; n < 65535; n++) {
    if (!rectangle(host, 0, 0, WIDTH, HEIGHT, COPY) || !say(host, from, sizeof from)) return;
  }
}

static void trickle(int host) {
  static const char version[] = "RFB 003.008\n";
  for (size_t n = 0; n < sizeof version - 1; n++) {
    struct pollfd end = {.fd = host, .events = POLLIN};
    if (poll(&end, 1, 1000) != 0 || !say(host, version + n, 1)) return;
  }
}

static void ring(int host) {
  static uint8_t bells[64 * 1024];
  memset(bells, 2, sizeof bells);
  while (say(host, bells, sizeof bells)) {
  }
}

/* What comes before the handshake is over; 0 where it goes on as it should. */
static int attack_early(int host) {
  uint8_t heard[12];
  if (mode_is("vnc-silent")) return 1;
  if (mode_is("vnc-trickle")) return trickle(host), 1;
  if (mode_is("vnc-version")) return say(host, "RFB 003.003\n", 12);
  if (!say(host, "RFB 003.008\n", 12) || !hear(host, heard, 12)) return 1;
  if (mode_is("vnc-security")) return say(host, "\2\2\20", 3);
  if (mode_is("vnc-refused")) return say(host, "\0\377\377\377\377", 5);
  if (mode_is("vnc-early")) return server_init(host, WIDTH, HEIGHT, 0);
  if (mode_is("vnc-cut-types")) {
    say(host, "\5\1", 2);
    return shutdown(host, SHUT_WR) == 0;
  }
  if (!say(host, "\1\1", 2) || !hear(host, heard, 1) || !say(host, "\0\0\0\0", 4) ||
      !hear(host, heard, 1)) {
    return 1;
  }
  if (mode_is("vnc-size-0")) return server_init(host, 0, HEIGHT, 0);
  if (mode_is("vnc-size-65535")) return server_init(host, 65535, 65535, 0);
  if (mode_is("vnc-name")) return server_init(host, WIDTH, HEIGHT, 0xffffffff);
  return !server_init(host, WIDTH, HEIGHT, 0);
}

void serve_vnc(int host) {
  if (!attack_early(host)) {
    if (mode_is("vnc-count")) many_rectangles(host);
    if (mode_is("vnc-empty")) one_rectangle(host, 0, 0, 0, 1, RAW);
    if (mode_is("vnc-wide")) one_rectangle(host, 0, 0, 65535, 1, RAW);
    if (mode_is("vnc-resize-0")) one_rectangle(host, 0, 0, WIDTH, 0, SIZE);
    if (mode_is("vnc-resize-65535")) one_rectangle(host, 0, 0, 65535, 65535, SIZE);
    if (mode_is("vnc-cursor")) one_rectangle(host, 65535, 65535, 16, 16, CURSOR);
    if (mode_is("vnc-encoding")) one_rectangle(host, 0, 0, 16, 16, TIGHT);
    if (mode_is("vnc-late")) say(host, "RFB 003.008\n", 12);
    if (mode_is("vnc-bells")) ring(host);
    if (mode_is("vnc-half")) one_rectangle(host, 0, 0, WIDTH, HEIGHT, RAW);
    if (mode_is("vnc-cut")) {
      one_rectangle(host, 0, 0, WIDTH, HEIGHT, RAW);
      say(host, "\0\0\0", 3);
      shutdown(host, SHUT_WR);
    }
  }
  wait_for_end(host);
}
