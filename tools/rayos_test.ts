import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const RAYOS = path.resolve(import.meta.dirname ?? ".", "rayos");
const VERSION = /^DENO_VERSION=(.*)$/m.exec(fs.readFileSync(RAYOS, "utf8"))?.[1] ?? "";

/** What the script itself calls, besides what it looks for. */
const SHELL_TOOLS = "sh cat cmp cp chmod cut dirname id ls mkdir sed sleep tail uname".split(" ");
const LOOKED_FOR = /^(\S+) +\S+ +\S.*$/gm;

/** A checkout of the script alone, with a PATH of its own and stubs that record what is called. */
async function checkout(
  options: { without?: string[]; installed?: boolean; uid?: number; aptFails?: boolean },
  use: (run: (...args: string[]) => { code: number | null; err: string; calls: string }) => void,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    await Deno.chmod(dir, 0o755);
    const bin = path.join(dir, "bin");
    fs.mkdirSync(path.join(dir, "tools/bench"), { recursive: true });
    fs.mkdirSync(bin);
    fs.copyFileSync(RAYOS, path.join(dir, "tools/rayos"));
    fs.writeFileSync(path.join(dir, "deno.lock"), "{}");
    fs.writeFileSync(path.join(dir, "tools/bench/boot.ts"), "");
    const calls = path.join(dir, "calls");
    const stub = (name: string, rest = "") => {
      const body = `#!/bin/sh\necho "${name} $*" >> "${calls}"\n${rest}`;
      fs.writeFileSync(path.join(bin, name), body, { mode: 0o755 });
    };
    for (const name of SHELL_TOOLS) fs.symlinkSync(`/usr/bin/${name}`, path.join(bin, name));
    const table = /^needs\(\) \{\n {2}cat << 'END'\n([^]*?)\nEND/m.exec(
      fs.readFileSync(RAYOS, "utf8"),
    );
    for (const [, name] of (table?.[1] ?? "").matchAll(LOOKED_FOR)) {
      if (name !== undefined && !name.startsWith("/") && !options.without?.includes(name)) {
        stub(name);
      }
    }
    stub("apt-get", options.aptFails ? '[ "$1" = update ]\n' : "");
    fs.rmSync(path.join(bin, "id"));
    stub("id", `echo ${options.uid ?? 0}\n`);
    if (options.installed ?? true) {
      const deno = path.join(dir, ".cache/deno/node_modules/@deno/linux-x64-glibc");
      fs.mkdirSync(deno, { recursive: true });
      fs.writeFileSync(path.join(dir, ".cache/deno/version"), `${VERSION}\n`);
      fs.writeFileSync(path.join(deno, "deno"), `#!/bin/sh\necho "deno $*" >> "${calls}"\n`, {
        mode: 0o755,
      });
      fs.mkdirSync(path.join(dir, "node_modules"));
      fs.copyFileSync(path.join(dir, "deno.lock"), path.join(dir, "node_modules/.rayos-lock"));
    }
    use((...args) => {
      fs.rmSync(calls, { force: true });
      // The script adds the system's own directories; an empty root of those is not to be had here,
      // so the names that a test leaves out are such as live in none of them.
      const done = spawnSync(path.join(dir, "tools/rayos"), args, { env: { PATH: bin }, cwd: dir });
      const seen = fs.existsSync(calls) ? fs.readFileSync(calls, "utf8") : "";
      return {
        code: done.status,
        err: String(done.stderr),
        calls: seen.split("\n").filter((one) => !one.startsWith("id ")).join("\n")
          .replaceAll(dir, "."),
      };
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("rayos with nothing missing asks no package tool and passes arguments unchanged", async () => {
  await checkout({}, (run) => {
    const { code, calls, err } = run("ray", "policy", "check", "a b", "--json", "");
    assert.equal(code, 0, err);
    assert.equal(
      calls,
      "deno run --quiet --config ./deno.json -P=ray ./main.ts policy check a b --json \n",
    );
    assert.equal(err, "");
  });
});

Deno.test("rayos starts each command's own script", async () => {
  await checkout({}, (run) => {
    const script = (...args: string[]) => /-P=tools \.\/(\S+)(.*)\n/.exec(run(...args).calls);
    assert.equal(script("boot", "--timeout", "5")?.slice(1).join(""), "tools/boot.ts --timeout 5");
    assert.equal(script("test", "full")?.slice(1).join(""), "tools/test.ts full");
    assert.equal(
      script("bench", "boot", "--json")?.slice(1).join(""),
      "tools/bench/boot.ts --json",
    );
    assert.equal(script("publish")?.[1], "tools/publish.ts");
    assert.equal(run("deno", "test", "a b").calls, "deno test a b\n");
  });
});

Deno.test("rayos without a package and not root prints the apt-get line and exits 3", async () => {
  await checkout({ without: ["minisign", "faketime"], uid: 1000 }, (run) => {
    const { code, err, calls } = run("boot");
    assert.equal(code, 3);
    assert.match(err, /missing: minisign \(signs and verifies in tests, as a second opinion\)/);
    assert.match(
      err,
      /apt-get update && apt-get install --yes --no-install-recommends minisign faketime'/,
    );
    assert.equal(calls, "");
  });
});

Deno.test("rayos as root installs exactly what is missing", async () => {
  await checkout({ without: ["minisign"] }, (run) => {
    const { code, calls } = run("setup");
    assert.equal(code, 0);
    assert.equal(calls, "apt-get install --yes --no-install-recommends minisign\n");
  });
});

Deno.test("rayos fetches the package lists once where the first try fails, then exits 3", async () => {
  await checkout({ without: ["minisign"], aptFails: true }, (run) => {
    const { code, calls } = run("boot");
    assert.equal(code, 3);
    const line = "apt-get install --yes --no-install-recommends minisign";
    assert.equal(calls, `${line}\napt-get update\n${line}\n`);
  });
});

Deno.test("rayos without Deno asks npm for the pinned version", async () => {
  await checkout({ installed: false }, (run) => {
    const { calls } = run("setup");
    assert.match(calls, new RegExp(`^npm install .*@deno/linux-x64-glibc@${VERSION}$`, "m"));
  });
});

Deno.test("rayos refuses an unknown command and a bench that is a path, with exit code 2", async () => {
  await checkout({}, (run) => {
    for (const args of [["fly"], ["bench"], ["bench", "../boot"], ["bench", "none"]]) {
      const { code, calls } = run(...args);
      assert.equal(code, 2, args.join(" "));
      assert.equal(calls, "");
    }
  });
});

Deno.test("rayos help lists every command and installs nothing", async () => {
  await checkout({ installed: false, without: ["npm"] }, (run) => {
    assert.equal(run("help").code, 0);
    assert.equal(run().calls, "");
  });
});
