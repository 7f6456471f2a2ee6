/**
 * The policy's shape as JSON Schema 2020-12, made from the same source as the parser's, for editors
 * and other programs. What it cannot say, `meaning_rules.ts` lists. It judges nothing itself.
 */
import * as z from "zod/mini";
import { MAX_PROFILES, policySchema } from "./schema.ts";

/** A JSON Schema, as far as this module reads it. */
interface Node {
  description?: string;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  maxProperties?: number;
  oneOf?: Node[];
  items?: Node;
}

/** What an editor shows for a key, by its path; a profile's keys by `<profile>`. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  version: "Version of the document: 0.",
  serial: "Raised with each change; an older policy is refused once a newer one was accepted.",
  hosts: "Names of the hosts it is for; any host where it is absent.",
  defaults: "For profiles that say nothing themselves.",
  "defaults.autoboot_vms": "false: no guest starts at boot, whatever its profile says.",
  limits: "Of all guests together.",
  "limits.cpu_percent": "Percent of all CPUs.",
  "limits.mem_mib": "MiB; three quarters of the host's memory where it is absent.",
  "limits.vms": "Guests running at once.",
  logging: "What is written; violations and audit always are.",
  security: "What the host must have, and what it gives every guest.",
  "security.virtualization":
    "required: no guest without /dev/kvm. emulated_ok: slowly, and said so.",
  "security.guest_agent": "A serial port on which a guest says that it is up.",
  presentation: "How a guest comes onto the screen.",
  "presentation.allow": "Who may present or hide a guest.",
  "recovery.passphrase": "scrypt hash; without one the recovery shell only reads.",
  "network.resolver": "The only DNS server a guest may ask; the uplink's where it is absent.",
  "network.allow_private": "Private networks that guests may reach.",
  linux: "The Linux guest.",
  windows: "The Windows guest.",
  profiles: "Profiles that records of the registry name; {vm_id} in their paths is replaced.",
  "<profile>.enabled": "Whether its guest may run at all.",
  "<profile>.vm_id": "The guest's name.",
  "<profile>.autoboot": "Whether it starts at boot.",
  "<profile>.networking": "provisioning_only: until the guest is set up.",
  "<profile>.provisioning_minutes": "How long such a network lasts at most.",
  "<profile>.limits.cpus": "Virtual CPUs.",
  "<profile>.limits.mem_mib": "MiB of memory.",
  "<profile>.limits.io_mib_s": "MiB a second of its disks; no limit where it is absent.",
  "<profile>.limits.console_kib_s": "KiB a second of its console's log.",
  "<profile>.devices.input": "Keyboard and pointer.",
  "<profile>.devices.gpu": "A graphics adapter.",
  "<profile>.devices.vtpm": "A TPM of its own; needed by an enabled windows guest.",
  "<profile>.boot.secure_boot":
    "Its firmware starts from a disk only what Microsoft's keys signed.",
  "<profile>.storage.shares": "Folders that the guest sees.",
};

/** The schema of the document. */
export function policyJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(policySchema, { io: "input", target: "draft-2020-12" }) as Node;
  const profiles = schema.properties?.["profiles"];
  if (profiles !== undefined) profiles.maxProperties = MAX_PROFILES;
  describe(schema, []);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "RayOS policy, version 0",
    ...schema,
  };
}

function describe(node: Node, path: readonly string[]): void {
  const says = DESCRIPTIONS[path.join(".")] ?? DESCRIPTIONS[inProfile(path)];
  if (says !== undefined) node.description = says;
  for (const [key, inner] of Object.entries(node.properties ?? {})) describe(inner, [...path, key]);
  for (const inner of node.oneOf ?? []) describe(inner, path);
  if (typeof node.additionalProperties === "object") {
    describe(node.additionalProperties, [...path, "*"]);
  }
}

function inProfile(path: readonly string[]): string {
  const own = path[0] === "profiles" ? path.slice(2) : path.slice(1);
  return ["<profile>", ...own].join(".");
}
