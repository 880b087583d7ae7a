import { dialTcp, type Line, onLine, placeName } from "../../../platform/dial.ts";
import { readSecretFile } from "../../../platform/small-file.ts";
import { openSnmp, type Snmp, type SnmpAccess } from "../../../platform/snmp.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type CheckPorts, Latch, type Verdict, worstOf, worstYet } from "../check.ts";
import type { Device, SwitchConfig } from "./config.ts";
import { asNumber, asText, hasRestarted, type PortLook, ratesOf } from "./figures.ts";
import { type DeviceLook, judgeDevice, judgePort, judgeSilence, RATES, type Silence } from "./judge.ts";
import type { Memory } from "./memory.ts";
import { Columns, type Found, findPorts, labelOf } from "./ports.ts";

const SYS_DESCR = "1.3.6.1.2.1.1.1.0";
const SYS_UPTIME = "1.3.6.1.2.1.1.3.0";
const UP = 1;
/** Ports that a device did not have are looked for again so often. */
const FIND_AGAIN_MS = 600_000;
/** Of the visit's deadline, for the one question over TCP where SNMP was silent. */
const TCP_SHARE = 0.4;
/** A question that is not answered in this share of the deadline is sent again. */
const TRY_SHARE = 0.35;

/** One device from visit to visit. */
export class Visits {
  readonly #device: Device;
  readonly #config: SwitchConfig;
  readonly #ports: CheckPorts;
  readonly #memory: Memory;
  readonly #latches = new Map<string, Latch>();
  #snmp: Snmp | undefined;
  #columns = new Columns();
  #found: { ports: readonly Found[]; atMs: number } | undefined;
  #looks = new Map<string, { look: PortLook; atMs: number }>();
  #description: string | undefined;
  #restartsAt: number[] = [];
  /** What this visit has learned of the device, while its ports are still asked. */
  #answered: DeviceLook | undefined;
  visited = false;

  constructor(device: Device, config: SwitchConfig, ports: CheckPorts, memory: Memory) {
    this.#device = device;
    this.#config = config;
    this.#ports = ports;
    this.#memory = memory;
  }

  /** The device and all its ports. Rejects only when `signal` aborts. */
  async visit(signal: AbortSignal): Promise<readonly Verdict[]> {
    const { clock } = this.#ports;
    const { deadlineMs } = this.#device;
    this.#answered = undefined;
    try {
      const place = `${placeName(this.#device)}/udp`;
      return await onLine(place, { clock, signal, deadlineMs }, (line) => this.#ask(line));
    } catch (cause) {
      this.close();
      signal.throwIfAborted();
      return await this.#failed(cause, signal);
    } finally {
      this.visited = true;
    }
  }

  /** A port left out would be a port that is gone: whatever happens, each is told of. */
  async #failed(cause: unknown, signal: AbortSignal): Promise<Verdict[]> {
    const because = cause instanceof Failure ? plain(cause) : "the visit failed by a fault of ours";
    if (this.#answered !== undefined) return [this.#judgeDevice(this.#answered), ...this.unknownPorts(because)];
    if (cause instanceof Failure && cause.code !== "FILE_UNUSABLE" && cause.code !== "DIAL_LOCAL")
      return await this.#silent(cause, signal);
    return [{ state: "unknown", subject: this.#device.name, because }, ...this.unknownPorts(because)];
  }

  /** Every port we know of, when nothing can be told of it. */
  unknownPorts(because: string, asked?: number): Verdict[] {
    const { name, ports } = this.#device;
    const labels = ports === "all" ? this.#memory.ports(name) : ports.map(labelOf);
    const asking = asked === undefined ? {} : { asked };
    return labels.map((label) => ({ state: "unknown", subject: `${name}/${label}`, because, ...asking }));
  }

  close(): void {
    this.#snmp?.close();
    this.#snmp = undefined;
  }

  async #ask(line: Line): Promise<Verdict[]> {
    const look = await this.#askDevice(line).catch(async (cause: unknown) => {
      // a session that knows the device as it was before its restart is refused: once more from the beginning
      if (!(cause instanceof Failure) || cause.code !== "SNMP_AUTH" || this.#snmp === undefined) throw cause;
      this.close();
      return await this.#askDevice(line);
    });
    this.#answered = look;
    const device = this.#judgeDevice(look);
    if (this.#device.ports.length === 0) return [device];
    return [device, ...(await this.#askPorts())];
  }

  async #askDevice(line: Line): Promise<DeviceLook> {
    const { clock } = this.#ports;
    const { name, deadlineMs } = this.#device;
    const snmp = await this.#session(deadlineMs * TRY_SHARE, line);
    line.phase = "owed an answer";
    const sentAt = clock.now();
    const [uptime] = await snmp.get([SYS_UPTIME]);
    line.signal.throwIfAborted();
    const roundTripMs = clock.now() - sentAt;
    const uptimeTicks = asNumber(uptime);
    if (uptimeTicks === undefined)
      throw new Failure("SNMP_INVALID", `${name} does not tell its uptime`, { facts: { device: name } });
    this.#noteUptime(uptimeTicks);
    if (this.#description === undefined) {
      const [description] = await snmp.get([SYS_DESCR]);
      this.#description = this.#ports.redact(asText(description));
    }
    return { uptimeTicks, roundTripMs, description: this.#description, restarts: this.#restartsAt.length };
  }

  async #session(tryMs: number, line: Line): Promise<Snmp> {
    if (this.#snmp !== undefined) return this.#snmp;
    const snmp = await openSnmp(this.#device, await this.#access(), tryMs, line);
    if (line.signal.aborted) snmp.close(); // the visit has ended meanwhile, and nobody else would
    line.signal.throwIfAborted();
    this.#snmp = snmp;
    return snmp;
  }

  #noteUptime(ticks: number): void {
    const now = this.#ports.clock.now();
    const before = this.#memory.uptime(this.#device.name);
    if (before !== undefined && hasRestarted(before, ticks)) {
      this.#restartsAt.push(now);
      this.#looks.clear();
      this.#found = undefined;
      this.#description = undefined;
      this.#columns = new Columns();
    }
    this.#memory.noteUptime(this.#device.name, ticks);
    this.#restartsAt = this.#restartsAt.filter((at) => now - at < this.#config.restartHoldMs);
  }

  async #askPorts(): Promise<Verdict[]> {
    const snmp = this.#snmp;
    if (snmp === undefined) throw new Error("no session");
    const now = this.#ports.clock.now();
    const { name, ports } = this.#device;
    const isWhole = ports === "all" || this.#found?.ports.length === ports.length;
    if (this.#found === undefined || (now - this.#found.atMs >= FIND_AGAIN_MS && (!isWhole || ports === "all")))
      this.#found = { ports: await findPorts(snmp, ports), atMs: now };
    const found = this.#found.ports;
    const looks = await this.#columns.look(snmp, found);
    const verdicts = found.flatMap((port, i) => this.#judgeFound(port, looks[i]));
    if (ports === "all") {
      const up = found.filter((_, i) => looks[i]?.oper === UP).map(({ label }) => label);
      await this.#memory.notePorts(name, up);
      return verdicts;
    }
    const missing = ports.map(labelOf).filter((label) => !found.some((port) => port.label === label));
    return [...verdicts, ...missing.map((label) => this.#unknownPort(label, "the device has no such port"))];
  }

  #judgeFound(port: Found, look: PortLook | undefined): Verdict[] {
    const { label, rule, shownAs } = port;
    const { name } = this.#device;
    const isNews = rule.isFound && look?.oper !== UP && !this.#memory.ports(name).includes(label);
    if (isNews) return []; // nobody has ever plugged anything into it
    if (look === undefined) {
      this.#found = undefined;
      return rule.isFound ? [] : [this.#unknownPort(label, "the device has no such port any more")];
    }
    if (shownAs !== undefined && look.name !== shownAs) {
      this.#found = undefined;
      return [this.#unknownPort(label, "the device has renumbered its ports, they are looked for again")];
    }
    const before = this.#looks.get(label);
    const now = this.#ports.clock.now();
    this.#looks.set(label, { look, atMs: now });
    const rates = before === undefined ? {} : ratesOf(before.look, look, now - before.atMs);
    const conditions = judgePort(rule, look, rates, this.#config);
    if (conditions === undefined) return [this.#unknownPort(label, "the device does not know the port's state")];
    const said = conditions.map((one) => ({ ...one, says: this.#ports.redact(one.says ?? "") }));
    return [worstYet(`${name}/${label}`, said, before === undefined ? RATES : [], this.#latch(label))];
  }

  #unknownPort(label: string, because: string): Verdict {
    return { state: "unknown", subject: `${this.#device.name}/${label}`, because };
  }

  #judgeDevice(look: DeviceLook): Verdict {
    return worstOf(this.#device.name, judgeDevice(look), this.#latch(""));
  }

  #latch(label: string): Latch {
    const known = this.#latches.get(label) ?? new Latch();
    this.#latches.set(label, known);
    return known;
  }

  /** No answer over SNMP: is the device there at all? */
  async #silent(failure: Failure, signal: AbortSignal): Promise<Verdict[]> {
    const { why, says } = await this.#explain(failure, signal);
    const device = worstOf(this.#device.name, judgeSilence(this.#device, why, says), this.#latch(""));
    return [device, ...this.unknownPorts(says)];
  }

  async #explain(failure: Failure, signal: AbortSignal): Promise<{ why: Silence; says: string }> {
    const says = plain(failure);
    if (failure.code === "SNMP_AUTH") return { why: "auth", says };
    if (failure.code === "SNMP_INVALID" || failure.code === "DIAL_REFUSED") return { why: "snmp", says };
    const { tcpPort, host, deadlineMs, version } = this.#device;
    if (tcpPort === undefined) return { why: "unreachable", says: `${says}: ${doubts(version)}` };
    const { clock } = this.#ports;
    const place = { host, port: tcpPort };
    try {
      await dialTcp(place, { clock, signal, deadlineMs: deadlineMs * TCP_SHARE });
      return { why: "snmp", says: `${says}, but TCP port ${tcpPort} does: ${blames(version)}` };
    } catch (cause) {
      signal.throwIfAborted();
      if (!(cause instanceof Failure)) throw cause;
      if (cause.code === "DIAL_REFUSED")
        return { why: "snmp", says: `${says}, but it refuses TCP port ${tcpPort}: ${blames(version)}` };
      return { why: "unreachable", says: `${says}, nor does TCP port ${tcpPort}` };
    }
  }

  async #access(): Promise<SnmpAccess> {
    const { version, communityFile, user, authFile, privFile, authProtocol, privProtocol, context } = this.#device;
    const secret = (path: string): Promise<string> => readSecretFile(this.#ports.machine.at(path));
    if (version !== "3") return { version, community: await secret(communityFile ?? "") };
    return {
      version,
      user: user ?? "",
      ...(authFile === undefined ? {} : { auth: { protocol: authProtocol, password: await secret(authFile) } }),
      ...(privFile === undefined ? {} : { priv: { protocol: privProtocol, password: await secret(privFile) } }),
      ...(context === undefined ? {} : { context }),
    };
  }
}

const doubts = (version: Device["version"]): string =>
  version === "3" ? "it is off or the way is cut" : "it is off, the way is cut, or the community is wrong";
const blames = (version: Device["version"]): string =>
  version === "3" ? "its SNMP is off or closed to us" : "its SNMP is off or closed to us, or the community is wrong";

/** The failure's message without its code. */
const plain = ({ message, code }: Failure): string => message.slice(0, message.length - ` (${code})`.length);
