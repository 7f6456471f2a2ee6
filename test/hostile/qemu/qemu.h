/*
 * A program in QEMU's place whose guest has captured it: it speaks QMP and RFB well enough to be taken for
 * QEMU, and then says what the host must not believe. What it says next stands in a file of the image that
 * the test writes (`MODE`).
 */
#ifndef QEMU_H
#define QEMU_H

#include <stddef.h>

#define MODE "/usr/share/hostile-mode"

/* Whether the test asks for that attack now. */
int mode_is(const char *name);
/* Writes all of it; 0 where the host has closed the connection. */
int say(int host, const void *bytes, size_t length);
/* Reads that much; 0 where the host has closed the connection. */
int hear(int host, void *bytes, size_t length);

/* vnc.c: serves one connection to the end. */
void serve_vnc(int host);

#endif
