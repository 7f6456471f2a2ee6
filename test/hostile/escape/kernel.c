/* Ways out by the network and by interfaces of the kernel that a guest has no need of. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <mqueue.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/io.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int outcome(long result) { return result < 0 ? errno : OUT; }

static int close_outcome(long fd) {
  int code = outcome(fd);
  if (fd >= 0) close((int)fd);
  return code;
}

/* Each network namespace has a number of its own (socket(7)); 0 where it cannot be asked. */
unsigned long net_cookie(int of) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(of, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) return 0;
  return cookie;
}

static struct sockaddr_in host_address(void) {
  return (struct sockaddr_in){
    .sin_family = AF_INET,
    .sin_port = htons(HOST_PORT),
    .sin_addr = {htonl(HOST_ADDRESS)},
  };
}

/* Connects to the host's address, or takes it. */
static int at_host(int type, int protocol, int takes) {
  struct sockaddr_in address = host_address();
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return errno;
  if (takes) address.sin_port = 0;
  int failed = takes ? bind(fd, (struct sockaddr *)&address, sizeof address)
                     : connect(fd, (struct sockaddr *)&address, sizeof address);
  int code = failed ? errno : OUT;
  close(fd);
  return code;
}

int net_tcp(const struct attempt *row) {
  (void)row;
  return at_host(SOCK_STREAM, 0, 0);
}

int net_udp(const struct attempt *row) {
  (void)row;
  return at_host(SOCK_DGRAM, 0, 1);
}

int net_raw(const struct attempt *row) {
  (void)row;
  return at_host(SOCK_RAW, IPPROTO_ICMP, 1);
}

static int in_host_network(int family, int protocol) {
  int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return errno;
  int code = net_cookie(fd) == targets.cookie ? OUT : OWN;
  close(fd);
  return code;
}

int net_packet(const struct attempt *row) {
  (void)row;
  return in_host_network(AF_PACKET, htons(0x0003) /* ETH_P_ALL */);
}

int net_netlink(const struct attempt *row) {
  (void)row;
  return in_host_network(AF_NETLINK, NETLINK_ROUTE);
}

static socklen_t abstract_address(struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path + 1, HOST_SOCKET, sizeof HOST_SOCKET - 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof HOST_SOCKET);
}

int net_abstract(const struct attempt *row) {
  (void)row;
  struct sockaddr_un address;
  socklen_t length = abstract_address(&address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int code = connect(fd, (struct sockaddr *)&address, length) == 0 ? OUT : errno;
  close(fd);
  return code;
}

int shared_memory(const struct attempt *row) {
  (void)row;
  return outcome(shmget(HOST_MEMORY, 4096, 0));
}

int message_queue(const struct attempt *row) {
  (void)row;
  return close_outcome(syscall(SYS_mq_open, HOST_QUEUE, O_RDONLY, 0, NULL));
}

/* The host looks afterwards whose name it was. */
int host_name(const struct attempt *row) {
  (void)row;
  return outcome(sethostname("escaped", 7));
}

int add_a_key(const struct attempt *row) {
  (void)row;
  return outcome(syscall(SYS_add_key, "user", "escape", "x", 1, KEY_SPEC_USER_KEYRING));
}

int find_keyring(const struct attempt *row) {
  (void)row;
  return outcome(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}

int bpf_map(const struct attempt *row) {
  (void)row;
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 4;
  attr.max_entries = 1;
  return close_outcome(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

int perf_event(const struct attempt *row) {
  (void)row;
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.type = PERF_TYPE_SOFTWARE;
  attr.size = sizeof attr;
  attr.config = PERF_COUNT_SW_CPU_CLOCK;
  return close_outcome(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

int io_uring(const struct attempt *row) {
  (void)row;
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  return close_outcome(syscall(SYS_io_uring_setup, 1, &params));
}

int user_faults(const struct attempt *row) {
  (void)row;
  return close_outcome(syscall(SYS_userfaultfd, O_CLOEXEC));
}

/* Ctrl-Alt-Del becomes a signal that init ignores, which it is already: the harmless command. */
int restart_keys(const struct attempt *row) {
  (void)row;
  return outcome(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
                         LINUX_REBOOT_CMD_CAD_OFF, NULL));
}

int io_port(const struct attempt *row) {
  (void)row;
  return outcome(ioperm(0x80, 1, 1));
}

int set_clock(const struct attempt *row) {
  (void)row;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return outcome(clock_settime(CLOCK_REALTIME, &now));
}

int kernel_log(const struct attempt *row) {
  (void)row;
  char text[256];
  return outcome(syscall(SYS_syslog, 3 /* SYSLOG_ACTION_READ_ALL */, text, sizeof text));
}

int real_time(const struct attempt *row) {
  (void)row;
  struct sched_param param = {.sched_priority = 1};
  int code = outcome(sched_setscheduler(0, SCHED_FIFO, &param));
  param.sched_priority = 0;
  if (code == OUT) sched_setscheduler(0, SCHED_OTHER, &param);
  return code;
}

/* By i386's number for socket(2), which the filter's list of x86-64 numbers does not know. */
int other_numbers(const struct attempt *row) {
  (void)row;
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(359), "b"(AF_INET), "c"(SOCK_STREAM), "d"(0)
                   : "memory");
  return result < 0 ? (int)-result : OUT;
}

/*
 * The host's side: a listener, an abstract socket, shared memory and a queue, each for anybody, and a
 * socket in the place of another guest's passt. Prints
 * its network namespace's number once all is there, and stays.
 */
int hold_out(void) {
  struct sockaddr_in address = host_address();
  struct sockaddr_un abstract, passt = {.sun_family = AF_UNIX, .sun_path = HOST_PASST};
  socklen_t length = abstract_address(&abstract);
  int tcp = socket(AF_INET, SOCK_STREAM, 0);
  int local = socket(AF_UNIX, SOCK_STREAM, 0);
  int way = socket(AF_UNIX, SOCK_STREAM, 0);
  mode_t none = 0;
  syscall(SYS_umask, none);
  struct mq_attr queue = {.mq_maxmsg = 1, .mq_msgsize = 1};
  if (bind(tcp, (struct sockaddr *)&address, sizeof address) != 0 || listen(tcp, 100) != 0) return 2;
  if (bind(local, (struct sockaddr *)&abstract, length) != 0 || listen(local, 100) != 0) return 3;
  if (bind(way, (struct sockaddr *)&passt, sizeof passt) != 0 || listen(way, 100) != 0) return 7;
  if (shmget(HOST_MEMORY, 4096, IPC_CREAT | 0666) < 0) return 4;
  if (syscall(SYS_mq_open, HOST_QUEUE, O_RDWR | O_CREAT, 0666, &queue) < 0) return 5;
  char text[32];
  int digits = 0;
  for (unsigned long left = net_cookie(tcp); left > 0; left /= 10) text[digits++] = (char)('0' + left % 10);
  while (digits > 0) {
    if (write(1, &text[--digits], 1) != 1) return 6;
  }
  if (write(1, "\n", 1) != 1) return 6;
  for (;;) pause();
}
