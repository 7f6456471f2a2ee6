/**
 * The shape of `vm/registry.json` (contract §4): of the file as a whole, and of one record. Built
 * once, at import. What a record may have is not said here; the policy says it.
 */
import * as z from "zod/mini";
import { MACHINE_STATES } from "../machine_state.ts";

/** Most disks of one guest. */
const MAX_DISKS = 8;

function text(form: RegExp, says: string) {
  return z.string().check(z.regex(form, says));
}

function int(min: number, max: number) {
  return z.int().check(z.minimum(min), z.maximum(max));
}

const path = z.string();
const diskName = text(/^[a-z0-9][a-z0-9_-]{0,31}$/, "a disk name: a-z 0-9 _ -, at most 32");

/** The file as a whole; each record is held against `recordSchema` by itself. */
export const registrySchema = z.strictObject({
  version: z.literal(0),
  vms: z.record(z.string(), z.unknown()),
});

/** One record. */
export const recordSchema = z.strictObject({
  vm_id: text(/^[a-z0-9][a-z0-9-]{0,62}$/, "a guest name: a-z 0-9 -, at most 63 characters"),
  name: z.optional(text(/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u, "1 to 64 printable characters")),
  kind: z.enum(["linux", "windows"]),
  profile: text(/^[a-z0-9][a-z0-9_-]{0,62}$/, "the name of a profile of the policy"),
  uuid: text(
    /^(?!0{8}-)[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
    "a UUID, 8-4-4-4-12 hex digits",
  ),
  slot: int(0, 63),
  state: z._default(z.enum(MACHINE_STATES), "defined"),
  storage: z.strictObject({
    disks: z.record(
      diskName,
      z.strictObject({
        path,
        format: z._default(z.enum(["raw", "qcow2"]), "raw"),
        bus: z._default(z.enum(["virtio", "ahci"]), "virtio"),
      }),
    ).check(z.refine((disks) => Object.keys(disks).length <= MAX_DISKS, `at most ${MAX_DISKS}`)),
  }),
  devices: z.strictObject({
    vcpus: int(1, 64),
    memory_mib: int(32, 2 ** 24),
    input: z._default(z.boolean(), false),
    gpu: z._default(z.enum(["virtio", "none"]), "none"),
    vtpm: z._default(z.boolean(), false),
  }),
  boot: z._default(
    z.nullable(z.strictObject({
      kernel: path,
      initrd: z._default(z.nullable(path), null),
      cmdline: z._default(
        text(/^[\x20-\x7e]{0,2048}$/, "printable ASCII text of at most 2048 characters"),
        "",
      ),
    })),
    null,
  ),
  provisioned_at: z._default(
    z.nullable(text(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/,
      "a time of RFC 3339 in UTC, or null",
    )),
    null,
  ),
  saved_state: z._default(
    z.nullable(text(/^[A-Za-z0-9._-]{1,128}$/, "a name of A-Z a-z 0-9 . _ -, or null")),
    null,
  ),
});

/** A record that has the shape. */
export type RecordDocument = z.output<typeof recordSchema>;
