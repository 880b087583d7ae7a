import type { Machine } from "../../../platform/machine.ts";
import type { ProgramRun } from "../../../platform/run.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { CheckPorts, Judged, Verdict } from "../check.ts";
import { inTurns, type Turns } from "../turns.ts";
import type { CommandConfig, Plugin } from "./command.ts";
import { alerts, oneLine, type PluginOutput, parseOutput, readingsOf } from "./parse.ts";

const AT_ONCE = 2;
/** The program's own deadline comes first; this one is for a runner that does not come back. */
const LATE_MS = 5_000;
const MOST_READINGS = 30;
const MOST_SAYS = 300;
/** A shorter word is no secret, and would be taken out of everything. */
const LEAST_SECRET = 4;
const SURROUNDINGS = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" };
/** Exit codes 0 to 3. */
const STATES = ["OK", "WARNING", "CRITICAL", "UNKNOWN"] as const;

/** Programs of the Monitoring Plugins API, each at its own pace, at most two at once. */
export function openPlugins({ plugins, deadlineMs }: CommandConfig, ports: CheckPorts): Turns {
  const turns = plugins.map((plugin) => ({
    subject: plugin.name,
    everyMs: plugin.everyMs,
    retryMs: plugin.retryMs,
    deadlineMs: plugin.deadlineMs + LATE_MS,
    ask: async (signal: AbortSignal) => [await judgePlugin(plugin, ports, signal)],
  }));
  const { clock, random, redact } = ports;
  return inTurns(turns, { clock, random, redact, atOnce: AT_ONCE, waitMs: deadlineMs * 0.9 });
}

async function judgePlugin(plugin: Plugin, ports: CheckPorts, signal: AbortSignal): Promise<Verdict> {
  const { order, secrets } = orderOf(plugin, ports.machine);
  const clean = (text: string): string => ports.redact(without(secrets, text));
  let code = -1;
  let words = "";
  const exited = (exit: number, stderr: string): void => {
    code = exit;
    words = stderr;
  };
  try {
    const printed = await ports.run({ ...order, signal, exited });
    const output = parseOutput(clean(printed));
    const text = output.text || oneLine(clean(words), MOST_SAYS) || "it printed nothing";
    return verdictOf(plugin, code, { ...output, text });
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    return notRun(plugin, cause, clean);
  }
}

/** The longest first: one secret may be part of another. What is heard of a program is cut, perhaps within a secret. */
const without = (secrets: readonly string[], text: string): string =>
  secrets
    .filter((secret) => secret.length >= LEAST_SECRET)
    .toSorted((a, b) => b.length - a.length)
    .reduce((left, secret) => withoutEnds(secret, left.replaceAll(secret, "***")), text);

function withoutEnds(secret: string, text: string): string {
  let left = text;
  const most = Math.min(secret.length - 1, text.length);
  for (let n = most; n >= LEAST_SECRET; n -= 1) {
    if (left.startsWith(secret.slice(-n))) left = `***${left.slice(n)}`;
    if (left.endsWith(secret.slice(0, n))) left = `${left.slice(0, -n)}***`;
  }
  return left;
}

function verdictOf(plugin: Plugin, code: number, { text, figures }: PluginOutput): Verdict {
  const state = STATES[code];
  const readings = readingsOf(figures, MOST_READINGS);
  const says = `${state ?? `exit code ${code}`}: ${text}`;
  if (state === "OK") return judged(plugin, "ok", "warning", says, readings);
  if (state === "UNKNOWN" && plugin.severity.unknown !== undefined)
    return judged(plugin, plugin.severity.unknown, "unknown", says, readings);
  if (state !== "WARNING" && state !== "CRITICAL") return { state: "unknown", subject: plugin.name, because: says };
  const [grade, reason] =
    state === "CRITICAL" ? [plugin.severity.critical, "critical"] : [plugin.severity.warning, "warning"];
  const decides = figures.find(({ value, warning, critical }) => {
    const range = state === "CRITICAL" ? critical : warning;
    return range !== undefined && alerts(range, value);
  });
  const figure = decides === undefined ? {} : { value: decides.value, unit: oneLine(decides.unit, 20) };
  return { ...judged(plugin, grade, reason, says, readings), ...figure };
}

function judged(
  { name, titleZh, titleEn }: Plugin,
  grade: Judged["grade"],
  reason: string,
  says: string,
  readings: Judged["readings"],
): Judged {
  const title = titleZh ?? titleEn;
  return {
    ...{ state: "judged", subject: name, grade, holds: grade, reason, says: says.slice(0, MOST_SAYS), readings },
    ...(title === undefined ? {} : { title: { zh: title, en: titleEn ?? title } }),
  };
}

/** Why there is no exit code, and what to do about it. */
function notRun(plugin: Plugin, failure: Failure, clean: (text: string) => string): Verdict {
  const { argv, deadlineMs, outputCapBytes, user, severity } = plugin;
  const unknown = (because: string): Verdict => ({ state: "unknown", subject: plugin.name, because });
  const { facts } = failure;
  if (failure.code === "RUN_DEADLINE") {
    const says = `did not end within ${deadlineMs / 1_000} s: it was ended with all its children`;
    return severity.hung === undefined ? unknown(says) : judged(plugin, severity.hung, "hung", says, {});
  }
  if (failure.code === "RUN_OUTPUT")
    return unknown(`printed more than ${outputCapBytes} bytes: ${oneLine(clean(String(facts["begins"])), MOST_SAYS)}`);
  if (failure.code === "RUN_MISSING" && facts["errno"] === "EPERM")
    return unknown(`cannot become user ${user ?? "of the agent"}: for this the agent must run as root`);
  if (failure.code === "RUN_MISSING" && facts["errno"] === "EACCES")
    return unknown(`${argv[0]} may not be run by ${user === undefined ? "the agent" : `user ${user}`}: EACCES`);
  if (failure.code === "RUN_FAILED" && facts["exit"] !== undefined)
    return unknown(`ended by ${facts["exit"]}: ${oneLine(clean(String(facts["stderr"])), MOST_SAYS)}`);
  return unknown(oneLine(clean(failure.message), MOST_SAYS));
}

/** What is run, with all that comes from files; and the texts of those, to be told to nobody. Throws MACHINE_READ. */
function orderOf(plugin: Plugin, machine: Machine): { order: ProgramRun; secrets: string[] } {
  const { argv, deadlineMs, outputCapBytes, user, env, envFiles } = plugin;
  const secrets: string[] = [];
  const secret = (path: string): string => {
    const text = machine.read(path)?.replace(/\r?\n$/, "");
    if (text === undefined) throw new Failure("MACHINE_READ", `cannot read ${path}: ENOENT`, { facts: { path } });
    if (text.includes("\0")) throw new Failure("MACHINE_READ", `cannot use ${path}: NUL in it`, { facts: { path } });
    secrets.push(text);
    return text;
  };
  const [program, ...words] = argv;
  const order: ProgramRun = {
    argv: [program, ...words.map((word) => (typeof word === "string" ? word : secret(word.file)))],
    ...{ deadlineMs, outputCapBytes, cwd: "/" },
    env: {
      ...SURROUNDINGS,
      ...env,
      ...Object.fromEntries(Object.entries(envFiles).map(([name, path]) => [name, secret(path)])),
    },
    ...(user === undefined ? {} : { user: userOf(user, machine) }),
  };
  return { order, secrets };
}

/** Asked anew for each run: users come and go. Throws MACHINE_READ where there is no such user. */
function userOf(user: string, machine: Machine): { uid: number; gid: number } {
  const [name = "", group] = user.split(":");
  const byNumber = /^\d+$/.test(name);
  const known = (machine.read("/etc/passwd") ?? "")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[byNumber ? 2 : 0] === name);
  const uid = Number(byNumber ? name : known?.[2]);
  const gid = Number(group ?? known?.[3]);
  if (Number.isInteger(uid) && Number.isInteger(gid)) return { uid, gid };
  throw new Failure("MACHINE_READ", `no user ${user} in /etc/passwd${byNumber ? " (else write uid:gid)" : ""}`, {
    facts: { path: "/etc/passwd", user },
  });
}
