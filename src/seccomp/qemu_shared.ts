/**
 * The system calls of a QEMU whose guest has shares: those of `qemu.ts`, and what it takes to have the
 * guest's memory in a file in memory, which the process that serves a share maps too. Data alone.
 */

import { type CallList, filterHash, seccompFilter } from "./filter.ts";
import { QEMU_CALLS } from "./qemu.ts";

const MEMFD = "memfd_create";
/** fcntl.h: F_ADD_SEALS. */
const F_ADD_SEALS = 1033;

/** What it may call. */
export const QEMU_SHARED_CALLS: CallList = {
  ...QEMU_CALLS,
  allowed: [
    ...QEMU_CALLS.allowed.map((call) =>
      call.name !== "fcntl" ? call : {
        ...call,
        why: `${call.why}, and that shared memory keeps its size`,
        when: [...call.when ?? [], { argument: 1 as const, equals: F_ADD_SEALS }],
      }
    ),
    {
      name: MEMFD,
      why: "the guest's memory (MFD_CLOEXEC, MFD_ALLOW_SEALING): no huge pages",
      when: [{ argument: 1, mask: ~3, equals: 0 }],
    },
    { name: "ftruncate", why: "the guest's memory gets its size" },
  ],
  without: QEMU_CALLS.without.filter((call) => call.name !== MEMFD),
};

/** The filter as the image holds it. */
export const QEMU_SHARED_FILTER = seccompFilter(QEMU_SHARED_CALLS);
/** What a plan with shares names. */
export const QEMU_SHARED_FILTER_SHA256 = filterHash(QEMU_SHARED_FILTER);
