/**
 * A release image that is recovered over its serial line by whoever knows the recovery passphrase: until it was given
 * nothing can be changed, attempts count over a power cut, and it stands nowhere afterwards.
 */
import assert from "node:assert/strict";
import { hashPassphrase } from "../../src/policy/passphrase.ts";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import { type DiskFiles, policyFiles } from "../../tools/boot_data.ts";
import { imageIn, PROJECT } from "../../tools/boot_prepare.ts";
import { bootMachine, type BootRun } from "../../tools/boot_machine.ts";
import { buildImage } from "../../tools/build.ts";
import { listDataDisk, readDataDisk, writeDataDisk } from "../../tools/data_disk.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  Home,
  showingLines,
} from "./machine.ts";
import { ASKED_FOR_PASSPHRASE, forPasting, plain, PROMPT, tell } from "./serial_shell.ts";

const PASSPHRASE = "correct horse battery staple";

const random = (count: number) => crypto.getRandomValues(new Uint8Array(count));

/** Asks to unlock with those words; gives what the shell says. */
async function unlock(run: BootRun, words: string): Promise<string> {
  await tell(run, "unlock", ASKED_FOR_PASSPHRASE);
  return await tell(run, words);
}

fullTest(
  "a release image is recovered by its passphrase over the serial line, and by nothing else",
  async () => {
    await using home = await Home.make();
    const out = `${home.path}/image`;
    const image = {
      project: PROJECT,
      form: "compiled",
      profile: "release",
      out,
      host: null,
    } as const;
    buildImage({ ...image, entry: `${PROJECT}/main.ts`, say: () => {} });
    const { secretKey, publicText } = generateKeyPair(random);
    const overlay = { "/etc/rayos/keys/policy-owner.pub": publicText };
    const signed = (policy: string): [Uint8Array, string] => {
      const bytes = new TextEncoder().encode(policy);
      return [bytes, signDetached(bytes, secretKey, { trustedComment: "the owner" })];
    };
    const good = `${(await defaultPolicy()).replace("autoboot = true", "autoboot = false")}
[recovery]
passphrase = "${await hashPassphrase(new TextEncoder().encode(PASSPHRASE), random)}"
`;
    const broken = good.replace("cpus = 1", "cpus = 1\nsurprise = true");
    assert.notEqual(broken, good);
    const files: DiskFiles = { ...guestFiles(GUEST, home), ...policyFiles(...signed(good)) };
    const disk = dataDisk(home, files);
    const boot = async (work: (run: BootRun) => Promise<void>) => {
      const options = { ...await imageIn(out), memoryMiB: 2048, disks: [{ path: disk }], overlay };
      await using run = await bootMachine(options);
      await showingLines(run, () => work(run));
      assert.ok(!run.console.includes(PASSPHRASE), "it is not echoed");
    };
    // Its policy is accepted, and with it the passphrase.
    await boot(async (run) => {
      await run.waitFor("RAYOS_READY mode=normal");
      assertEndedInOrder(await finish(run));
    });
    const [bytes, signature] = signed(broken);
    writeDataDisk(disk, "policy/rayos-policy.toml", bytes);
    writeDataDisk(disk, "policy/rayos-policy.toml.minisig", new TextEncoder().encode(signature));
    await boot(async (run) => {
      await run.waitFor("RAYOS_READY mode=safe");
      await run.waitForConsole(PROMPT);
      assert.match(plain(run.console), /rayos locked> $/u);
      assert.match(await tell(run, "why"), /schema\.unknown_key: linux\.limits\.surprise/u);
      for (const change of ["serial accept", "data repair", "registry restore --from-policy"]) {
        assert.match(await tell(run, change), /denied by op\.locked/u, change);
      }
      assert.match(await tell(run, "shell"), /denied by op\.(locked|developer)/u);
      for (const words of ["password", `${PASSPHRASE}r`]) {
        assert.match(await unlock(run, words), /denied by recovery\.passphrase/u);
      }
      assert.match(await tell(run, "serial accept"), /denied by op\.locked/u);
      // The power is cut here: what was tried stays tried.
    });
    await boot(async (run) => {
      await run.waitFor("RAYOS_READY mode=safe");
      await run.waitForConsole(PROMPT);
      const said = await unlock(run, PASSPHRASE);
      assert.match(said, /2 attempts failed before; the answer comes in 1 s/u);
      assert.match(said, /unlocked/u);
      assert.match(await tell(run, "shell"), /denied by op\.developer/u);
      await tell(run, "policy paste", /Ctrl-C leaves it\./u);
      const [, goodSignature] = signed(good);
      const pasted = forPasting(good, goodSignature).join("\r");
      assert.match(await tell(run, pasted), /is in force/u);
      const from = run.lines.length;
      await run.typeSerial("retry\r");
      await run.waitFor("RAYOS_READY mode=normal", 120_000, from);
      assertEndedInOrder(await finish(run));
      const events = run.lines.map((line) => line.event);
      assert.equal(events.filter((one) => one === "recovery_unlocked").length, 1);
    });
    assertClean(disk);
    const written = listDataDisk(disk).filter((one) =>
      one.kind === "file" && /^\/(logs|boot|crash|policy)\//u.test(one.path)
    ).map((one) => new TextDecoder().decode(readDataDisk(disk, one.path.slice(1)) ?? undefined));
    assert.ok(written.some((text) => text.includes("passphrase_refused")), "the attempts are told");
    assert.ok(!written.some((text) => text.includes(PASSPHRASE)), "and what was typed is not");
  },
);
