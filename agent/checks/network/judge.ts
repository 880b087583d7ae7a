import type { Source } from "../../../platform/machine.ts";
import { addressesByInterface } from "../../../platform/net-addresses.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { CheckPorts, Judge, Verdict } from "../check.ts";
import type { Turns } from "../turns.ts";
import { BrokerWatch } from "./broker.ts";
import { GatewayWatch, orUnknown } from "./gateway.ts";
import { type AddressesOf, Interfaces } from "./interfaces.ts";
import { ListenWatch } from "./listen.ts";
import { NetworkMemory } from "./memory.ts";
import { openNames } from "./names.ts";
import type { NetworkConfig } from "./network.ts";
import { type DefaultRoute, parseRoutes, parseRoutes6 } from "./text.ts";

/** The whole check at work; `addressesOf` is the kernel's answer unless a test has its own. */
export async function openNetworkJudge(
  config: NetworkConfig,
  ports: CheckPorts,
  addressesOf: AddressesOf = addressesByInterface,
): Promise<Judge> {
  return new NetworkJudge(config, ports, await NetworkMemory.open(ports.keep?.folder, ports.clock), addressesOf);
}

class NetworkJudge implements Judge {
  readonly #config: NetworkConfig;
  readonly #ports: CheckPorts;
  readonly #memory: NetworkMemory;
  readonly #interfaces: Interfaces;
  readonly #routes: RouteWatch;
  readonly #broker: BrokerWatch;
  readonly #names: Turns | undefined;
  readonly #listen: ListenWatch;
  #gateway: GatewayWatch | undefined;
  #frozen: Verdict | undefined;
  #dialled: Promise<Verdict> | undefined;
  #dialVerdict: Verdict | undefined;
  #begun = false;
  #last: readonly Verdict[] = [];

  constructor(config: NetworkConfig, ports: CheckPorts, memory: NetworkMemory, addressesOf: AddressesOf) {
    this.#config = config;
    this.#ports = ports;
    this.#memory = memory;
    this.#interfaces = new Interfaces(config, ports.machine, memory, addressesOf);
    this.#routes = new RouteWatch(config, ports, memory);
    this.#broker = new BrokerWatch(config.broker, ports.clock.now());
    this.#names = openNames(config.dns, ports);
    this.#listen = new ListenWatch(config, ports.machine);
  }

  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> {
    if (!this.#begun) return this.#first(signal);
    const named = this.#names?.judge(signal) ?? [];
    return named instanceof Promise ? named.then((ready) => this.#all(ready)) : this.#all(named);
  }

  stirred(): boolean {
    const nowMs = this.#ports.clock.now();
    return this.#gateway?.stirred(nowMs) === true || this.#names?.stirred() === true;
  }

  close(): void {
    this.#interfaces.close();
    this.#routes.close();
    this.#gateway?.close();
    this.#names?.close();
  }

  /** The first verdicts decide whether alarms kept over a restart still hold: they wait for the first answers. */
  async #first(signal: AbortSignal): Promise<readonly Verdict[]> {
    const { link, brokers } = this.#ports;
    if (link === undefined && brokers.length > 0) {
      const { dialBrokers } = await import("./dial.ts"); // a device's agent has its link
      this.#dialled ??= dialBrokers(brokers, this.#ports, signal);
    }
    this.#choose(this.#ports.clock.now());
    const [named, dialled] = await Promise.all([
      this.#names?.judge(signal) ?? [],
      this.#dialled,
      this.#gateway?.first(signal),
    ]);
    this.#dialVerdict = dialled;
    this.#begun = true;
    return this.#all(named);
  }

  #all(named: readonly Verdict[]): readonly Verdict[] {
    const nowMs = this.#ports.clock.now();
    const link = this.#ports.link?.();
    const ports = this.#choose(nowMs);
    const route = this.#routes.verdict;
    const gateway = this.#gatewayVerdict(nowMs, link?.up === true);
    const broker = link === undefined ? this.#dialVerdict : this.#broker.look(nowMs, link);
    const verdicts = [
      ...ports,
      ...(route === undefined ? [] : [route]),
      ...(gateway === undefined ? [] : [gateway]),
      ...(broker === undefined ? [] : [broker]),
      ...named,
      ...this.#listen.look(nowMs),
    ];
    this.#memory.save();
    const same = verdicts.length === this.#last.length && verdicts.every((verdict, i) => verdict === this.#last[i]);
    if (!same) this.#last = verdicts;
    return this.#last;
  }

  /** Routes first, since they tell which interface is the uplink; and with the gateway that is due. */
  #choose(nowMs: number): readonly Verdict[] {
    const changed = this.#routes.look(nowMs);
    const ports = this.#interfaces.look(nowMs, changed);
    const { enabled, address } = this.#config.gateway;
    const wanted = enabled ? (address ?? this.#routes.route?.gateway) : undefined;
    if (wanted !== undefined && wanted !== this.#gateway?.address) {
      this.#gateway?.close();
      const { machine, clock, run } = this.#ports;
      this.#gateway = new GatewayWatch(wanted, {
        config: this.#config.gateway,
        machine,
        clock,
        run,
        memory: this.#memory,
      });
      this.#frozen = undefined;
    }
    return ports;
  }

  /** While nothing can go out, nothing is learned of the gateway: what was said last stays, and the cause is another's. */
  #gatewayVerdict(nowMs: number, linkUp: boolean): Verdict | undefined {
    const gateway = this.#gateway;
    if (gateway === undefined) return this.#isCutOff() ? CUT_OFF : undefined;
    const iface = this.#routes.route?.iface ?? this.#memory.learned.uplink;
    const reachable = iface === undefined || this.#interfaces.carries(iface);
    const routed = this.#routes.route !== undefined || this.#config.gateway.address !== undefined;
    if (reachable && routed) this.#frozen = orUnknown(() => gateway.look(nowMs, linkUp));
    return this.#frozen ?? CUT_OFF;
  }

  /** There is no way to a gateway that this device has had. */
  #isCutOff(): boolean {
    const { learned } = this.#memory;
    return this.#config.gateway.enabled && this.#routes.route === undefined && learned.gateway !== undefined;
  }
}

/** Holds an alarm from before a restart: left out, it would clear. */
const CUT_OFF: Verdict = {
  ...{ state: "judged", subject: "gateway", grade: "ok", holds: "major", reason: "gateway", readings: {} },
  says: "the gateway was not asked yet: there is no way to it",
};

const ROUTES_6_EVERY_MS = 60_000;

/** Where packets for everywhere go, and whether that is as it was. */
class RouteWatch {
  readonly #mode: NetworkConfig["route"];
  readonly #memory: NetworkMemory;
  readonly #v4: Source;
  readonly #v6: Source;
  #text: string | undefined;
  #lookedAt6 = Number.NEGATIVE_INFINITY;
  route: DefaultRoute | undefined;
  verdict: Verdict | undefined;

  constructor({ route }: NetworkConfig, { machine }: CheckPorts, memory: NetworkMemory) {
    this.#mode = route;
    this.#memory = memory;
    this.#v4 = machine.source("/proc/net/route");
    this.#v6 = machine.source("/proc/net/ipv6_route");
  }

  /** True when the routing table has changed. */
  look(nowMs: number): boolean {
    try {
      const text = this.#v4.read() ?? "";
      const changed = text !== this.#text;
      // without IPv4 the default route is looked for in a table that may be long
      const due6 = this.route?.gateway?.includes(".") !== true && nowMs - this.#lookedAt6 >= ROUTES_6_EVERY_MS;
      if (!changed && !due6) return false;
      this.#text = text;
      const route = parseRoutes(text);
      if (route === undefined) this.#lookedAt6 = nowMs;
      this.#note(route ?? parseRoutes6(this.#v6.read() ?? ""));
      return changed;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.verdict = { state: "unknown", subject: "route", because: error.message };
      return false;
    }
  }

  close(): void {
    this.#v4.close();
    this.#v6.close();
  }

  #note(route: DefaultRoute | undefined): void {
    const { learned } = this.#memory;
    const known = this.verdict?.state === "judged" && sameRoute(route, this.route);
    this.route = route;
    if (route !== undefined && learned.uplink !== route.iface) {
      learned.uplink = route.iface;
      this.#memory.touch();
    }
    if (known) return;
    const expected = this.#mode === "expected" || (this.#mode === "auto" && learned.uplink !== undefined);
    if (route === undefined && !expected) this.verdict = undefined;
    else this.verdict = judgeRoute(route, learned.uplink);
  }
}

const sameRoute = (one: DefaultRoute | undefined, other: DefaultRoute | undefined): boolean =>
  one?.iface === other?.iface && one?.gateway === other?.gateway;

function judgeRoute(route: DefaultRoute | undefined, uplink: string | undefined): Verdict {
  const grade = route === undefined ? "major" : "ok";
  const by = route?.gateway === undefined ? "" : ` by ${route.gateway}`;
  const was = uplink === undefined ? "" : `; it was by ${uplink}`;
  const says =
    route === undefined ? `there is no default route${was}` : `the default route goes over ${route.iface}${by}`;
  const readings = { route_count: route === undefined ? 0 : 1 };
  return { state: "judged", subject: "route", grade, holds: grade, reason: "route", says, readings };
}
