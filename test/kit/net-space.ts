import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { needs, needsThat, programPath, run } from "./peers.ts";

/** A host of a test: a network namespace with its own /sys, alive until disposed. Nobody else's network is touched. */
export interface NetSpace extends Disposable {
  /** A process that lives in it. */
  readonly pid: number;
  /** Words that start a program inside: put its own behind them. */
  readonly enter: readonly [string, ...string[]];
  /** Runs a command inside; throws with its words when it fails. */
  run(program: string, ...args: string[]): string;
}

/** Whether tests with network namespaces must be skipped: they need root, unshare(1) and ip(8). */
export function needsNets(): boolean {
  if (needs("unshare", "util-linux") || needs("ip", "iproute2") || needs("nft", "nftables")) return true;
  try {
    using space = openNetSpace();
    space.run("ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1");
    return false;
  } catch {
    return needsThat(false, "nothing, but run as root where network namespaces may be made");
  }
}

/** A new host without a line to anywhere. */
export function openNetSpace(): NetSpace {
  const script = "mount -t sysfs vigil-sys /sys && ip link set lo up && exec cat";
  const keeper = spawn(programPath("unshare"), ["--net", "--mount", "--propagation", "private", "sh", "-c", script], {
    stdio: ["pipe", "ignore", "ignore"], // it ends with us, however we end
  });
  const pid = keeper.pid ?? 0;
  const enter: [string, ...string[]] = [programPath("nsenter"), "-t", String(pid), "-n", "-m", "--"];
  try {
    awaitSpace(pid);
  } catch (cause) {
    keeper.kill("SIGKILL");
    throw cause;
  }
  return {
    pid,
    enter,
    run(program, ...args) {
      const [first, ...words] = enter;
      const done = spawnSync(first, [...words, programPath(program), ...args], { encoding: "utf8", timeout: 20_000 });
      if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.error ?? done.stderr}`);
      return done.stdout;
    },
    [Symbol.dispose]: () => void keeper.kill("SIGKILL"),
  };
}

/** The shell needs a moment; until it has become cat its namespace may still be ours. */
function awaitSpace(pid: number): void {
  const own = run("readlink", ["/proc/self/ns/net"]);
  for (let tries = 0; tries < 1_000; tries += 1) {
    const there = spawnSync(programPath("readlink"), [`/proc/${pid}/ns/net`], { encoding: "utf8" }).stdout;
    if (there !== "" && there !== own && readFileSync(`/proc/${pid}/comm`, "utf8") === "cat\n") return;
  }
  throw new Error("no network namespace of our own");
}

/** Two hosts on one line: the device at 10.9.0.2/24 on `eth0`, its gateway at 10.9.0.1 on `lan0`. */
export interface Line extends Disposable {
  readonly device: NetSpace;
  readonly gateway: NetSpace;
}

export const DEVICE_ADDRESS = "10.9.0.2";
export const GATEWAY_ADDRESS = "10.9.0.1";

export function openLine(): Line {
  const device = openNetSpace();
  const gateway = openNetSpace();
  const close = (): void => {
    device[Symbol.dispose]();
    gateway[Symbol.dispose]();
  };
  try {
    device.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "lan0", "netns", String(gateway.pid));
    gateway.run("ip", "addr", "add", `${GATEWAY_ADDRESS}/24`, "dev", "lan0");
    gateway.run("ip", "link", "set", "lan0", "up");
    // it answers one probe a second otherwise, and tests ask faster than a device does
    gateway.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0");
    device.run("ip", "addr", "add", `${DEVICE_ADDRESS}/24`, "dev", "eth0");
    device.run("ip", "link", "set", "eth0", "up");
    device.run("ip", "route", "add", "default", "via", GATEWAY_ADDRESS);
    // a neighbour that is gone is noticed within seconds and not half a minute: as on a device, only faster
    const neigh = "net.ipv4.neigh.eth0";
    const times = [`${neigh}.base_reachable_time_ms=1000`, `${neigh}.delay_first_probe_time=1`];
    device.run("sysctl", "-qw", ...times, `${neigh}.retrans_time_ms=100`);
  } catch (cause) {
    close();
    throw cause;
  }
  return { device, gateway, [Symbol.dispose]: close };
}
