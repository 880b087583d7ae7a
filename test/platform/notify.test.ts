import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { openNotifier, readSupervision } from "../../platform/notify.ts";
import { needs, programPath } from "../kit/peers.ts";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXEC = join(ROOT, "deploy/vigil-notify-exec");
const skip = needs("perl", "perl-base");

// Stands for systemd: a datagram socket that prints whose process sent what. It reads only when told to.
const SUPERVISOR = String.raw`
  use Socket; $| = 1; my $path = shift; $path =~ s/^@/\0/;
  socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($path)) or die $!;
  print "up\n"; if (shift) { <STDIN> }
  while (defined recv($s, my $text, 4096, 0)) { print $text }`;

interface Lines extends Disposable {
  next(): Promise<string>;
  child: ChildProcess;
}

function linesOf(child: ChildProcess): Lines {
  if (child.stdout === null) throw new Error("no stdout");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    next: async () => {
      const { value, done } = await lines.next();
      return done === true ? "(end)" : value;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

async function supervisor(path: string, deaf = false): Promise<Lines> {
  const lines = linesOf(spawn(programPath("perl"), ["-e", SUPERVISOR, path, ...(deaf ? ["deaf"] : [])]));
  onTestFinished(() => lines[Symbol.dispose]());
  expect(await lines.next()).toBe("up");
  return lines;
}

const ME = `
  const { openNotifier, readSupervision } = await import(${JSON.stringify(join(ROOT, "platform/notify.ts"))});
  const { fd, watchdogMs } = readSupervision(process.env, process.pid);
  const notifier = openNotifier(fd);`;

/** Runs a few lines of a supervised program behind the real vigil-notify-exec. */
function supervised(code: string, env: Record<string, string>): ChildProcess {
  const child = spawn(
    EXEC,
    [process.execPath, "--input-type=module", "--disable-warning=ExperimentalWarning", "-e", ME + code],
    {
      env: { PATH: process.env["PATH"], ...env },
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

for (const kind of ["path", "abstract"]) {
  test.skipIf(skip)(
    `a supervised program is heard over a socket with an ${kind} name, and keeps its process id`,
    async () => {
      using folder = tempFolder();
      const socket = kind === "path" ? join(folder.path, "notify") : `@vigil-${process.pid}-${kind}`;
      const heard = await supervisor(socket);
      const child = supervised(
        `notifier.ready(); notifier.watchdog(); notifier.status("3 checks\\nSTOPPING=1"); notifier.stopping();
       console.log(process.pid, process.env.NOTIFY_SOCKET, watchdogMs);`,
        { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "60000000" },
      );
      expect(await linesOf(child).next()).toBe(`${child.pid} undefined 60000`);
      const lines = [await heard.next(), await heard.next(), await heard.next(), await heard.next()];
      expect(lines).toEqual(["READY=1", "WATCHDOG=1", "STATUS=3 checks STOPPING=1", "STOPPING=1"]);
    },
  );
}

test.skipIf(skip)("a supervisor that does not listen holds nobody up", async () => {
  using folder = tempFolder();
  const socket = join(folder.path, "notify");
  const deaf = await supervisor(socket, true);
  const child = supervised(
    `for (let i = 0; i < 5000; i += 1) notifier.watchdog();
     console.log("alive"); process.stdin.once("data", () => { notifier.watchdog(); console.log("still"); process.exit(0); });`,
    { NOTIFY_SOCKET: socket },
  );
  const lines = linesOf(child);
  expect(await lines.next()).toBe("alive");
  const gone = once(deaf.child, "exit");
  deaf.child.kill("SIGKILL");
  await gone;
  child.stdin?.write("\n");
  expect(await lines.next()).toBe("still");
});

test.skipIf(skip)("without a supervisor, or with one that is gone, the program runs all the same", () => {
  const run = (env: Record<string, string>) => {
    const { stdout, stderr, status } = spawnSync(EXEC, ["/bin/sh", "-c", 'echo "fd=$VIGIL_NOTIFY_FD"; exit 7'], {
      encoding: "utf8",
      env,
    });
    return { stdout, stderr, status };
  };
  expect(run({})).toEqual({ stdout: "fd=\n", stderr: "", status: 7 });
  expect(run({ NOTIFY_SOCKET: "/nowhere/notify" })).toMatchObject({
    stdout: "fd=\n",
    stderr: expect.stringContaining("/nowhere/notify"),
    status: 7,
  });
  expect(spawnSync(EXEC, ["/nowhere/program"]).status).not.toBe(0);
});

test("only numbers meant for this process are taken from the environment", () => {
  expect(readSupervision({ VIGIL_NOTIFY_FD: "5", WATCHDOG_USEC: "60000000", WATCHDOG_PID: "42" }, 42)).toEqual({
    fd: 5,
    watchdogMs: 60_000,
  });
  expect(readSupervision({ VIGIL_NOTIFY_FD: "5", WATCHDOG_USEC: "60000000", WATCHDOG_PID: "41" }, 42)).toEqual({
    fd: 5,
  });
  for (const bad of ["", "-1", "1", "2.5", "0x5", "five"])
    expect(readSupervision({ VIGIL_NOTIFY_FD: bad }, 42)).toEqual({});
  expect(readSupervision({ WATCHDOG_USEC: "0" }, 42)).toEqual({});
});

test("a notifier without a socket, or with a closed one, is silent", () => {
  for (const fd of [undefined, 1_000_000]) {
    const notifier = openNotifier(fd);
    expect(() => {
      notifier.ready();
      notifier.watchdog();
      notifier.status("well");
      notifier.stopping();
    }).not.toThrow();
  }
});
