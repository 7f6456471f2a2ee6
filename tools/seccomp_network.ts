/**
 * Network namespaces of the recorder's own on this machine, each held by a file, with what runs in them.
 * What is done in one is not seen outside.
 */
import { run } from "./build_host.ts";

const BUSYBOX = "/bin/busybox";

/** A program that runs in a namespace. */
export interface Server {
  readonly end: () => Promise<void>;
}

/** One network namespace. */
export class Namespace {
  private constructor(readonly path: string) {}

  /** Makes it, held by a file of that path. */
  static async make(path: string): Promise<Namespace> {
    await Deno.writeFile(path, new Uint8Array());
    run("unshare", [`--net=${path}`, "true"]);
    return new Namespace(path);
  }

  /** Runs a program in it and waits. */
  run(program: string, ...args: string[]): string {
    return run("nsenter", [`--net=${this.path}`, program, ...args]);
  }

  /** Commands of ip(8), one after the other. */
  ip(...commands: string[]): void {
    for (const command of commands) this.run("ip", ...command.split(" "));
  }

  /** Starts an applet of busybox in it. */
  start(...words: string[]): Server {
    const process = new Deno.Command("nsenter", {
      args: [`--net=${this.path}`, BUSYBOX, ...words],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return {
      async end() {
        try {
          process.kill("SIGTERM");
        } catch {
          // It has ended by itself.
        }
        await process.status;
      },
    };
  }

  /** Takes it away. */
  async remove(): Promise<void> {
    run("umount", ["-l", this.path]);
    await Deno.remove(this.path);
  }
}
