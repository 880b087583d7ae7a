import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../agent/checks/check.ts";
import type { LinkFacts } from "../../../platform/broker-link.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { type Child, startChild } from "../../kit/child.ts";
import { type JudgeProcess, startJudge } from "../../kit/judge-process.ts";
import { GATEWAY_ADDRESS, type Line, needsNets, openLine } from "../../kit/net-space.ts";
import { needs, programPath } from "../../kit/peers.ts";
import { tempFolder } from "../../kit/temp.ts";

/** Two real hosts on a real line, each in a network namespace of its own; the check runs on one of them. */

const quick = {
  figuresEveryMs: 100,
  learnMs: 0,
  gateway: { everyMs: 200, suspectEveryMs: 150, timeoutMs: 1_000 },
  broker: { holdMs: 300 },
  listenEveryMs: 100,
  interfaces: { eth0: {} },
};
const UP: LinkFacts = { up: true, rttMs: 12 };

const skip = needsNets();

/** A device, its line and the check at work on it. */
class Scene implements AsyncDisposable {
  readonly line: Line = openLine();
  readonly folder = tempFolder("vigil-network");
  readonly children: Child[] = [];
  #judge: JudgeProcess | undefined;

  /** The check, begun; an earlier one has ended. */
  async watch(config: object = {}, link: LinkFacts = UP): Promise<JudgeProcess> {
    await this.#judge?.[Symbol.asyncDispose]();
    this.#judge = await startJudge({
      ...{ file: "agent/checks/network/network.ts", kind: "network", config: { ...quick, ...config } },
      ...{ folder: this.folder.path, enter: this.line.device.enter },
    });
    await this.#judge.judge(link);
    return this.#judge;
  }
  /** The same, once the line is up: the kernel takes a second for that. */
  async well(config: object = {}, link: LinkFacts = UP): Promise<JudgeProcess> {
    const at = await this.watch(config, link);
    await at.until((of) => grade(of("eth0")) === "ok" && grade(of("gateway")) === "ok");
    return at;
  }
  /** A program on one of the hosts. */
  start(host: "device" | "gateway", program: string, ...args: string[]): Child {
    const [first, ...words] = this.line[host].enter;
    const child = startChild(first, [...words, program, ...args]);
    this.children.push(child);
    return child;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge?.[Symbol.asyncDispose]();
    for (const child of this.children) await child.kill9();
    this.line[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

const grade = (verdict: Verdict | undefined): string | undefined =>
  verdict?.state === "judged" ? verdict.grade : verdict?.state;
const reason = (verdict: Verdict | undefined): string =>
  verdict?.state === "judged" && verdict.grade !== "ok" ? verdict.reason : "";
const find = (all: readonly Verdict[], subject: string): Verdict | undefined =>
  all.find((one) => one.subject === subject);

describe.skipIf(skip).concurrent("a device on its line", () => {
  test("is well, with its figures", async () => {
    await using scene = new Scene();
    const at = await scene.well();
    const all = await at.judge();
    expect(find(all, "eth0")).toMatchObject({ readings: { up_count: 1, address_count: 1, error_pct: 0 } });
    expect(find(all, "route")).toMatchObject({
      grade: "ok",
      says: `the default route goes over eth0 by ${GATEWAY_ADDRESS}`,
    });
    expect(find(all, "gateway")).toMatchObject({
      grade: "ok",
      readings: { alive_count: 1, rtt_ms: expect.any(Number) },
    });
    expect(find(all, "broker")).toMatchObject({ grade: "ok", readings: { rtt_ms: 12, up_count: 1 } });
    for (const verdict of all)
      for (const name of Object.keys(verdict.state === "judged" ? verdict.readings : {}))
        expect(name).toMatch(/_(count|pct|ms|kbps|mbps)$/);
  });

  test("whose cable is cut says so, and nothing of the gateway it cannot ask any more", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const at = await scene.well();
    line.gateway.run("ip", "link", "set", "lan0", "down");
    const cut = await at.until((of) => reason(of("eth0")) === "carrier");
    expect(find(cut, "eth0")).toMatchObject({ grade: "major", holds: "major", readings: { up_count: 0 } });
    for (let rounds = 0; rounds < 8; rounds += 1) expect(grade(find(await at.judge(), "gateway"))).toBe("ok");
    line.gateway.run("ip", "link", "set", "lan0", "up");
    await at.until((of) => grade(of("eth0")) === "ok" && grade(of("gateway")) === "ok");
  });

  test("whose gateway is dead says that, and later that the broker is lost", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const at = await scene.well();
    line.gateway.run("ip", "addr", "flush", "dev", "lan0");
    const dead = await at.until((of) => reason(of("gateway")) === "gateway");
    expect(find(dead, "gateway")).toMatchObject({ grade: "major", says: expect.stringContaining(GATEWAY_ADDRESS) });
    expect(grade(find(dead, "eth0"))).toBe("ok");
    await at.judge({ up: false });
    await at.until((of) => reason(of("broker")) === "broker" && grade(of("broker")) === "major");
    line.gateway.run("ip", "addr", "add", `${GATEWAY_ADDRESS}/24`, "dev", "lan0");
    await at.judge(UP);
    const back = await at.until((of) => reason(of("gateway")) !== "gateway");
    expect(reason(find(back, "gateway"))).toBe(""); // the time it was down is no loss
    expect(grade(find(back, "broker"))).toBe("ok");
  });

  test("that loses packets on the way to its gateway tells the share, and does not call it dead", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const at = await scene.well({ gateway: { everyMs: 100, suspectEveryMs: 100, timeoutMs: 300 } });
    line.gateway.run("nft", "add", "table", "ip", "lossy");
    line.gateway.run("nft", "add", "chain", "ip", "lossy", "in", "{ type filter hook input priority 0; }");
    line.gateway.run("nft", "add", "rule", "ip", "lossy", "in", "numgen", "random", "mod", "10", "<", "7", "drop");
    const all = await at.until((of) => reason(of("gateway")) === "gateway-loss");
    expect(find(all, "gateway")).toMatchObject({ unit: "%", value: expect.any(Number) });
    line.gateway.run("nft", "delete", "table", "ip", "lossy");
    const healed = await at.until((of) => reason(of("gateway")) === "");
    expect(find(healed, "gateway")).toMatchObject({ readings: { loss_pct: expect.any(Number) } });
  });

  test("whose gateway answers nothing but the neighbour's question is well until that is silent, too", async () => {
    await using scene = new Scene();
    const { line } = scene;
    line.gateway.run("nft", "add", "table", "ip", "mute");
    line.gateway.run("nft", "add", "chain", "ip", "mute", "in", "{ type filter hook input priority 0; policy drop; }");
    const at = await scene.well();
    const all = await at.judge();
    expect(find(all, "gateway")).toMatchObject({ says: expect.stringContaining("answers no probe") });
    expect(find(all, "gateway")).not.toHaveProperty("readings.rtt_ms");
    line.gateway.run("ip", "addr", "flush", "dev", "lan0");
    await at.until((of) => reason(of("gateway")) === "gateway");
  });

  test("whose address changes tells it for a while; without any address that is a fault", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const at = await scene.well({ changedHoldMs: 1_500 });
    line.device.run("ip", "addr", "flush", "dev", "eth0", "scope", "global");
    line.device.run("ip", "addr", "add", "10.9.0.77/24", "dev", "eth0");
    line.device.run("ip", "route", "replace", "default", "via", GATEWAY_ADDRESS);
    const changed = await at.until((of) => reason(of("eth0")) === "changed");
    expect(find(changed, "eth0")).toMatchObject({ grade: "warning", says: "eth0 has 10.9.0.77 now, it had 10.9.0.2" });
    await at.until((of) => grade(of("eth0")) === "ok");
    line.device.run("ip", "addr", "flush", "dev", "eth0", "scope", "global");
    const bare = await at.until((of) => reason(of("eth0")) === "address");
    expect(find(bare, "eth0")).toMatchObject({ grade: "major", readings: { address_count: 0 } });
    expect(reason(find(bare, "route"))).toBe("route");
  });

  test("that has another address than the config wants", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const at = await scene.watch({ interfaces: { eth0: { expectAddress: "10.9.0.9" } } });
    await at.until((of) => reason(of("eth0")) === "wrong");
    line.device.run("ip", "addr", "add", "10.9.0.9/24", "dev", "eth0");
    await at.until((of) => grade(of("eth0")) === "ok");
  });

  test("knows its uplink over a restart: a cable that was cut meanwhile is missed, and so is the route", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const before = await scene.well();
    const { keep } = checkPorts(scene.folder.path);
    while ((await keep?.folder.read("network.json", 1_000))?.includes('"uplink":"eth0"') !== true) await before.judge();
    line.gateway.run("ip", "link", "set", "lan0", "down");
    line.device.run("ip", "route", "del", "default");
    const at = await scene.watch({ interfaces: {}, ignore: [] }, { up: false });
    const all = await at.until((of) => reason(of("eth0")) !== "");
    expect(find(all, "eth0")).toMatchObject({ reason: "carrier", grade: "major" });
    expect(find(all, "route")).toMatchObject({ reason: "route", grade: "major" });
  });

  test("has a second port: its loss is minor, of another name, and does not touch the uplink", async () => {
    await using scene = new Scene();
    const { line } = scene;
    line.device.run(
      "ip",
      "link",
      "add",
      "eth1",
      "type",
      "veth",
      "peer",
      "name",
      "cam0",
      "netns",
      String(line.gateway.pid),
    );
    line.gateway.run("ip", "link", "set", "cam0", "up");
    line.device.run("ip", "link", "set", "eth1", "up");
    const at = await scene.well({ interfaces: { eth0: {}, eth1: {} } });
    await at.until((of) => grade(of("eth1")) === "ok");
    line.gateway.run("ip", "link", "set", "cam0", "down");
    const all = await at.until((of) => reason(of("eth1")) === "side-carrier");
    expect(find(all, "eth1")).toMatchObject({ grade: "minor" });
    expect(grade(find(all, "eth0"))).toBe("ok");
    line.device.run("ip", "link", "del", "eth1");
    const gone = await at.until((of) => String(says(of("eth1"))).includes("not there any more"));
    expect(find(gone, "eth1")).toMatchObject({ grade: "minor", reason: "side-carrier" });
  });

  test.skipIf(needs("socat", "socat"))("listens where it must, by the right program", async () => {
    await using scene = new Scene();
    const listen = [
      { port: 8554, process: "node" },
      { port: 5005, protocol: "udp" },
    ];
    const at = await scene.well({ listen });
    expect(find(await at.judge(), "tcp 8554")).toMatchObject({ reason: "listen", grade: "major" });
    const right = scene.start("device", process.execPath, "-e", "require('net').createServer().listen(8554)");
    await at.until((of) => grade(of("tcp 8554")) === "ok");
    await right.kill9();
    await at.until((of) => reason(of("tcp 8554")) === "listen");
    scene.start("device", programPath("socat"), "TCP-LISTEN:8554", "STDOUT");
    const wrong = await at.until((of) => reason(of("tcp 8554")) === "owner");
    expect(find(wrong, "tcp 8554")).toMatchObject({
      says: expect.stringMatching(/belongs to socat \(process \d+\), not to node/),
    });
    scene.start("device", programPath("socat"), "UDP-LISTEN:5005", "STDOUT");
    await at.until((of) => grade(of("udp 5005")) === "ok");
  });

  test("asked by hand calls the brokers itself, and is not told of a link", async () => {
    await using scene = new Scene();
    const { line } = scene;
    const byHand = (port: number) =>
      startJudge({
        ...{ file: "agent/checks/network/network.ts", kind: "network", config: quick, folder: scene.folder.path },
        ...{ enter: line.device.enter, env: { VIGIL_BY_HAND: "1" }, brokers: [{ host: GATEWAY_ADDRESS, port }] },
      });
    await scene.well();
    scene.start("gateway", process.execPath, "-e", "require('net').createServer().listen(1883)");
    let answer: readonly Verdict[] = [];
    for (let tries = 0; tries < 20 && grade(find(answer, "broker")) !== "ok"; tries += 1) {
      await using at = await byHand(1883);
      answer = await at.judge();
    }
    expect(find(answer, "broker")).toMatchObject({ grade: "ok", readings: { rtt_ms: expect.any(Number) } });
    expect(grade(find(answer, "gateway"))).toBe("ok");
    await using at = await byHand(1884);
    expect(find(await at.judge(), "broker")).toMatchObject({ grade: "major", says: expect.stringContaining("1884") });
  });
});

const says = (verdict: Verdict | undefined): string | undefined =>
  verdict?.state === "judged" ? verdict.says : verdict?.because;
