/**
 * Debian packages as a source of files: downloaded by apt at the pinned version, checked against the
 * pinned hash, and unpacked into the cache. Never takes a file that the machine has installed, and
 * asks the network for nothing that is in the cache already.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { run, sha256File, ToolError } from "./build_host.ts";

/** What a package was when the manifest was made. */
export interface DebianPin {
  readonly version: string;
  /** SHA-256 of the .deb, hexadecimal. */
  readonly sha256: string;
}

/** An unpacked package. */
export interface DebianPackage extends DebianPin {
  readonly name: string;
  /** Directory that holds its files. */
  readonly dir: string;
  /** Whether it is another version than the pinned one. */
  readonly drifted: boolean;
}

function unpackedDir(cache: string, name: string, pin: DebianPin): string {
  return path.join(
    cache,
    `${name}_${pin.version.replaceAll(":", "%3a")}_${pin.sha256.slice(0, 12)}`,
  );
}

/** The pin of what was downloaded in place of a pinned version that the mirrors no longer have. */
function readDrift(cache: string, name: string, pin: DebianPin): DebianPin | null {
  try {
    const drift = JSON.parse(fs.readFileSync(path.join(cache, `${name}.drift.json`), "utf8"));
    return drift.instead_of === pin.version
      ? { version: drift.version, sha256: drift.sha256 }
      : null;
  } catch {
    return null;
  }
}

function fieldOf(deb: string, field: string): string {
  return run("dpkg-deb", ["--field", deb, field]).trim();
}

function download(names: readonly string[], into: string): boolean {
  return run.status("apt-get", ["download", "-q", ...names], { cwd: into }) === 0;
}

/** Lists of packages that are older than a pinned version do not know it: they are brought up to date once. */
function refreshed(say: (line: string) => void, again: () => boolean): boolean {
  say("bringing apt's lists of packages up to date: they lack a pinned version");
  return run.status("apt-get", ["update", "-q"]) === 0 && again();
}

function unpack(deb: string, dir: string): void {
  const partial = `${dir}.partial`;
  fs.rmSync(partial, { recursive: true, force: true });
  fs.mkdirSync(partial, { recursive: true });
  run("dpkg-deb", ["--extract", deb, partial]);
  fs.renameSync(partial, dir);
}

/**
 * Brings all the named packages into the cache.
 *
 * @param pins by package name; a null pin takes whatever version the mirrors have
 * @param say called with one line before anything slow
 * @throws ToolError where a package cannot be had, or differs from its pin at the same version
 */
export function debianPackages(
  pins: ReadonlyMap<string, DebianPin | null>,
  cache: string,
  say: (line: string) => void,
): Map<string, DebianPackage> {
  const found = new Map<string, DebianPackage>();
  const missing = new Map<string, DebianPin | null>();
  for (const [name, pin] of pins) {
    const real = pin === null ? null : readDrift(cache, name, pin) ?? pin;
    const dir = real === null ? null : unpackedDir(cache, name, real);
    if (real !== null && dir !== null && fs.existsSync(dir)) {
      found.set(name, { ...real, name, dir, drifted: real.version !== pin?.version });
    } else missing.set(name, pin);
  }
  if (missing.size === 0) return found;

  say(`downloading ${missing.size} Debian packages: ${[...missing.keys()].join(" ")}`);
  fs.mkdirSync(cache, { recursive: true });
  const into = fs.mkdtempSync(path.join(cache, "download-"));
  try {
    const exact = [...missing].map(([name, pin]) => pin === null ? name : `${name}=${pin.version}`);
    if (!download(exact, into) && !refreshed(say, () => download(exact, into))) {
      // One of them is not to be had at its version: take them one by one, and what there is instead.
      for (const [name, pin] of missing) {
        if (fs.readdirSync(into).some((one) => one.startsWith(`${name}_`))) continue;
        if (pin !== null && download([`${name}=${pin.version}`], into)) continue;
        if (!download([name], into)) {
          throw new ToolError(
            `Debian package ${name}: apt-get cannot download it; see what \`apt-get update\` says`,
          );
        }
      }
    }
    say(`unpacking ${missing.size} Debian packages`);
    for (const file of fs.readdirSync(into).sort()) {
      const deb = path.join(into, file);
      const name = fieldOf(deb, "Package");
      if (!missing.has(name)) continue;
      const pin = missing.get(name) ?? null;
      const real = { version: fieldOf(deb, "Version"), sha256: sha256File(deb) };
      if (pin !== null && real.version === pin.version && real.sha256 !== pin.sha256) {
        throw new ToolError(
          `Debian package ${name} ${pin.version}: SHA-256 ${real.sha256} is not the pinned ${pin.sha256}; do not use this mirror`,
        );
      }
      const drifted = pin !== null && real.version !== pin.version;
      const dir = unpackedDir(cache, name, real);
      if (!fs.existsSync(dir)) unpack(deb, dir);
      if (drifted) {
        fs.writeFileSync(
          path.join(cache, `${name}.drift.json`),
          JSON.stringify({ ...real, instead_of: pin.version }),
        );
      }
      found.set(name, { ...real, name, dir, drifted });
      fs.rmSync(deb);
    }
  } finally {
    fs.rmSync(into, { recursive: true, force: true });
  }
  const absent = [...missing.keys()].filter((name) => !found.has(name));
  if (absent.length > 0) {
    throw new ToolError(
      `Debian packages ${
        absent.join(", ")
      }: not in what apt-get brought; see what \`apt-get update\` says`,
    );
  }
  return found;
}

/**
 * The real file behind a path of a package, through the package's own symbolic links.
 *
 * @returns absolute path on this machine, or null where the package has no such regular file
 */
export function memberOf(dir: string, member: string): string | null {
  let at = member;
  for (let hops = 0; hops < 8; hops++) {
    const full = path.join(dir, at);
    const stat = fs.lstatSync(full, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    if (!stat.isSymbolicLink()) return stat.isFile() ? full : null;
    const target = fs.readlinkSync(full);
    at = path.normalize(
      target.startsWith("/") ? target.slice(1) : path.join(path.dirname(at), target),
    );
    if (at.startsWith("..")) return null;
  }
  return null;
}
