/**
 * A script beside the program in a test image: does on the machine what a test asks for by a word on
 * the serial console, and answers there. No image that leaves a checkout has it.
 */
import assert from "node:assert/strict";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { done, requestOverlay } from "./request.ts";

const SCRIPT = `#!/bin/busybox sh
bb=/bin/busybox
program() {
  for one in /proc/[0-9]*; do
    [ "$($bb tr '\\0' ' ' < $one/cmdline 2> /dev/null | $bb grep -c '/usr/lib/rayos/.* init $')" = 1 ] &&
      echo "\${one#/proc/}"
  done
}
while read -r word; do
  case $word in
    permissions) echo "inside permissions $(/usr/bin/ray doctor permissions --json)" ;;
    kill) for one in $(program); do kill -9 "$one"; echo "inside killed $one"; done ;;
    "file "*) echo "inside file $($bb base64 -w 0 "\${word#file }" 2> /dev/null) end" ;;
    "ray "*)
      # The words of a test are plain ones: splitting at spaces is all they need.
      out=$(/usr/bin/ray \${word#ray } 2>&1)
      echo "inside ray $? $(echo "$out" | $bb base64 -w 0) end"
      ;;
    "attach "*)
      # A console session between a pipe and files, so that a test can type into it and stop it.
      set -- \${word#attach }
      name=/run/attached.$1
      shift
      $bb mkfifo $name
      (
        $bb sh -c 'echo $$ > $0.pid; exec /usr/bin/ray vm console "$@"' $name "$@" \
          0<> $name > $name.out 2> $name.err
        echo "code $?" >> $name.err
      ) &
      echo "inside done"
      ;;
    "type "*)
      set -- \${word#type }
      name=$1
      shift
      echo "$*" > /run/attached.$name
      echo "inside done"
      ;;
    "tell "*)
      set -- \${word#tell }
      read -r process < /run/attached.$1.pid
      kill -$2 $process
      echo "inside done"
      ;;
    "lines "*)
      set -- \${word#lines }
      path=$1
      shift
      echo "inside lines $($bb grep -c -- "$*" $path) end"
      ;;
    "killat "*)
      # Kills the program in the moment in which the slot's record (in that folder) names the step. It
      # is armed when it looks: to find the program takes longer than some of the steps.
      set -- \${word#killat }
      victims=$(program)
      (
        record= tries=0
        while [ $tries -lt 5000000 ]; do
          read -r record 2> /dev/null < /run/rayos/\${3:-guest}/$1.json
          case $record in *'"step":"'$2'"'*) break ;; esac
          tries=$((tries + 1))
        done
        kill -9 $victims
        echo "inside killed at $2 \$([ $tries -lt 5000000 ] && echo yes || echo never)"
      ) &
      echo "inside armed"
      ;;
    "killwhen "*)
      # The same in the moment in which a condition holds.
      set -- \${word#killwhen }
      name=$1 victims=$(program)
      shift
      (
        tries=0
        until eval "$*" || [ $tries -eq 5000000 ]; do tries=$((tries + 1)); done
        kill -9 $victims
        echo "inside killed at $name $([ $tries -lt 5000000 ] && echo yes || echo never)"
      ) &
      echo "inside armed"
      ;;
    "signal "*)
      set -- \${word#signal }
      while read -r process; do
        read -r name 2> /dev/null < /proc/$process/comm
        case $name in qemu-system*) kill -$2 $process ;; esac
      done < /run/rayos/cg/rayos/guests/$1/cgroup.procs
      echo "inside done"
      ;;
    "memory "*)
      set -- \${word#memory }
      echo $2 > /run/rayos/cg/rayos/guests/$1/memory.max
      echo "inside done"
      ;;
    "do "*) eval "\${word#do }"; echo "inside done" ;;
    "clock "*) $bb date -u -s "\${word#clock }" > /dev/null; echo "inside done" ;;
    "qemus "*)
      qemus=0
      while read -r process; do
        read -r name 2> /dev/null < /proc/$process/comm
        case $name in qemu-system*) qemus=$((qemus + 1)) ;; esac
      done < /run/rayos/cg/rayos/guests/\${word#qemus }/cgroup.procs
      echo "inside qemus $qemus end"
      ;;
    orphan) ( ( $bb sleep 1 & ) ); echo "inside orphan made" ;;
    processes)
      for one in /proc/[0-9]*; do
        name= state= parent=
        while read -r key value; do
          case $key in Name:) name=$value ;; State:) state=\${value%% *} ;; PPid:) parent=$value ;; esac
        done < $one/status 2> /dev/null
        [ -n "$name" ] && echo "inside process \${one#/proc/} $parent $state $name"
      done
      echo "inside processes done"
      ;;
  esac
done
`;

/** The files that put the script into an image: itself, what it asks the host with, and one line of the inittab. */
export async function insideOverlay(): Promise<Record<string, OverlayFile>> {
  const inittab = await Deno.readTextFile(`${PROJECT}/initramfs/skeleton/etc/inittab`);
  return {
    ...await requestOverlay(),
    "/etc/inittab": `${inittab}::once:/usr/lib/inside\n`,
    "/usr/lib/inside": SCRIPT,
  };
}

/** Asks for a word's work and gives the text that it was waiting for. */
export async function askInside(run: BootRun, word: string, answer: RegExp): Promise<string> {
  const from = run.console.length;
  await run.typeSerial(`${word}\r`);
  return await run.waitForConsole(answer, 240_000, from);
}

export interface InsideProcess {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly name: string;
}

/** Every process of the machine. */
export async function processesInside(run: BootRun): Promise<InsideProcess[]> {
  const text = await askInside(run, "processes", /[\s\S]*inside processes done/u);
  return [...text.matchAll(/inside process (\d+) (\d+) (\S) (.*?)\r?\n/gu)].map((match) => ({
    pid: Number(match[1]),
    parent: Number(match[2]),
    state: match[3] ?? "",
    name: match[4] ?? "",
  }));
}

async function base64Inside(run: BootRun, word: string, answer: RegExp): Promise<RegExpExecArray> {
  const text = await askInside(run, word, answer);
  const match = answer.exec(text);
  if (match === null) throw new Error(`no answer to ${word}`);
  return match;
}

const decoded = (base64: string | undefined) =>
  Uint8Array.from(atob(base64 ?? ""), (character) => character.charCodeAt(0));

/** The bytes of a file of the machine; nothing where there is none. */
export async function fileInside(run: BootRun, path: string): Promise<Uint8Array> {
  for (let tries = 1;; tries++) {
    const [, base64] = await base64Inside(run, `file ${path}`, /inside file (\S*) end/u);
    try {
      return decoded(base64);
    } catch (error) {
      // Something else was written to the console in the middle of it.
      if (tries === 5) throw error;
    }
  }
}

/** How many lines of a file of the machine match a pattern of grep(1) without special characters. */
export async function linesInside(run: BootRun, path: string, pattern: string): Promise<number> {
  const text = await askInside(run, `lines ${path} ${pattern}`, /inside lines \d* end/u);
  return Number(/(\d+) end/u.exec(text)?.[1]);
}

/** Runs `ray` on the machine; gives its exit code and everything that it printed. */
export async function rayInside(
  run: BootRun,
  words: string,
): Promise<{ readonly code: number; readonly output: string }> {
  const [, code, base64] = await base64Inside(run, `ray ${words}`, /inside ray (\d+) (\S*) end/u);
  return { code: Number(code), output: new TextDecoder().decode(decoded(base64)) };
}

/** Runs `ray` on the machine where it must do what it is asked. */
export async function rayDoes(run: BootRun, words: string): Promise<void> {
  const { code, output } = await rayInside(run, words);
  assert.equal(code, 0, `${words}: ${output}`);
}

/** Saving a guest's memory takes its time here. */
const COMMAND_MS = 240_000;

/** Has one guest dealt with over the control socket, and asserts that it came to that state. */
export async function vmCommand(
  run: BootRun,
  verb: string,
  vm: string,
  state: string,
): Promise<void> {
  const from = run.lines.length;
  await done(run, `vm.${verb}`, { vm }, COMMAND_MS);
  assert.equal(statesOf(run, vm, from).at(-1)?.split(":")[1], state);
}

/** Kills the program and waits until the next one is ready; gives where its lines begin. */
export async function killProgram(run: BootRun): Promise<number> {
  const from = run.lines.length;
  await askInside(run, "kill", /inside killed \d+/u);
  await run.waitFor("RAYOS_READY mode=normal", 120_000, from);
  return from;
}

/** The changes of a guest's state from that line on, each as `from:to`. */
export function statesOf(run: BootRun, vm: string, from = 0): string[] {
  return run.lines.slice(from).filter((line) => line.fields["vm"] === vm).flatMap((line) =>
    /^RAYOS_VM_STATE:(.*)$/u.exec(line.event)?.[1] ?? []
  );
}

/** Has a shell command done on the host. */
export async function onHost(run: BootRun, command: string): Promise<void> {
  await askInside(run, `do ${command}`, /inside done/u);
}

/** What a shell command on the host prints. */
export async function seenOnHost(run: BootRun, command: string): Promise<string> {
  // No tool that misses its argument reads what is typed here next.
  await onHost(run, `{ ${command}; } < /dev/null > /run/seen 2>&1`);
  return new TextDecoder().decode(await fileInside(run, "/run/seen")).trim();
}
