import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { needs, programPath } from "../kit/peers.ts";
import { tempFolder } from "../kit/temp.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");
const UNITS = ["vigil-agent.service", "vigil-aggregator.service"];
const read = (name: string): string => readFileSync(join(DEPLOY, name), "utf8");
const skip = needs("systemd-analyze", "systemd");

/** Runs systemd-analyze on the unit as shipped, its programs laid in a folder. Returns what it found, without what only a newer systemd knows. */
function verify(name: string, text: string): string[] {
  using folder = tempFolder();
  copyFileSync(join(DEPLOY, "vigil-notify-exec"), join(folder.path, "vigil-notify-exec"));
  chmodSync(join(folder.path, "vigil-notify-exec"), 0o755);
  const unit = join(folder.path, name);
  writeFileSync(unit, text.replaceAll("/usr/lib/vigil/", `${folder.path}/`));
  const { stderr, status } = spawnSync(programPath("systemd-analyze"), ["verify", "--man=no", unit], {
    encoding: "utf8",
  });
  const found = [...new Set(stderr.split("\n"))].filter(
    (line) => line.includes("vigil") && !/RestartSteps|RestartMaxDelaySec/.test(line),
  );
  return status === 0 ? found : [...found, `exit ${status}`];
}

for (const name of UNITS) {
  test.skipIf(skip)(`${name} is a unit systemd understands, word for word`, () => {
    expect(verify(name, read(name))).toEqual([]);
    expect(verify(name, read(name).replace("LockPersonality=yes", "LockPersonalty=yes"))).not.toEqual([]);
  });

  test.skipIf(skip)(`${name} leaves its program little to misuse`, () => {
    using folder = tempFolder();
    copyFileSync(join(DEPLOY, name), join(folder.path, name));
    const args = ["security", "--offline=true", "--threshold=30", join(folder.path, name)];
    const { stdout, status } = spawnSync(programPath("systemd-analyze"), args, { encoding: "utf8" });
    expect(status, stdout.split("\n").at(-2)).toBe(0);
  });
}

test.skipIf(skip)(
  "the drop-in for video streams is understood on top of the agent's unit, and gives it more memory",
  () => {
    const [unit, more] = [read("vigil-agent.service"), read("vigil-agent.service.d/streams.conf")];
    expect(verify("vigil-agent.service", `${unit}\n${more}`)).toEqual([]);
    const limit = (text: string): number => Number(/^MemoryMax=(\d+)M$/m.exec(text)?.[1]);
    expect(limit(more)).toBeGreaterThan(limit(unit));
  },
);

test("the agent's unit keeps the budget of docs/performance.md and lets the checks see the machine", () => {
  const lines = read("vigil-agent.service").split("\n");
  for (const line of ["MemoryMax=56M", "Type=notify", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0"]) {
    expect(lines).toContain(line);
  }
  for (const blind of ["ProtectProc=", "ProcSubset=", "PrivateDevices=", "ProtectHome="]) {
    expect(lines.filter((line) => line.startsWith(blind))).toEqual([]);
  }
});

/** Starts Node with `flags` under the kernel's rule that no memory may become executable; its exit code, 77 where the kernel has no such rule. */
function sealedNode(flags: readonly string[]): number | null {
  const PRCTL = { x64: 157, arm64: 167 }[process.arch as "x64" | "arm64"];
  const seal = `syscall(${PRCTL}, 65, 1, 0, 0, 0) == 0 or exit 77; exec @ARGV;`; // PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
  return spawnSync(programPath("perl"), ["-e", seal, process.execPath, ...flags, "-e", "0"], { stdio: "ignore" })
    .status;
}

test.skipIf(needs("perl", "perl-base"))(
  "with the agent's flags Node needs no memory that is writable and executable",
  (context) => {
    const exec = read("vigil-agent.service")
      .split("\n")
      .find((line) => line.startsWith("ExecStart="));
    const flags = exec?.match(/--[a-z0-9=-]+(?= )/g)?.filter((flag) => flag !== "--config") ?? [];
    const sealed = sealedNode(flags);
    context.skip(sealed === 77, "this kernel has no PR_SET_MDWE");
    expect(flags).toContain("--jitless");
    expect(sealed).toBe(0);
    expect(sealedNode(flags.filter((flag) => flag !== "--jitless"))).not.toBe(0); // the rule bites
    expect(read("vigil-agent.service")).toContain("\nMemoryDenyWriteExecute=yes\n");
  },
);
