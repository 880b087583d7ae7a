import { lookAt, NONE, OVERWRITTEN, openGrowing, openRecords } from "../../../platform/growing-file.ts";
import type { CheckPorts, Judge, Judged, Verdict } from "../check.ts";
import type { Pattern } from "./catalogue.ts";
import type { LogsConfig } from "./config.ts";
import { excerptOf } from "./excerpt.ts";
import { parseRecord } from "./kernel.ts";
import { Matcher } from "./matcher.ts";
import { KERNEL_LOG } from "./present.ts";
import { Reach } from "./reach.ts";
import { type FileSource, findSources, isOfKernel } from "./sources.ts";

/** Asked by hand: what stands in the last part of each log? Nothing is followed and nothing is kept. */

const BYTES = 262_144;
const JOURNAL_LINES = 2_000;

interface Found {
  pattern: Pattern;
  count: number;
  where: string;
  line: string;
}

export class LookBack implements Judge {
  readonly #config: LogsConfig;
  readonly #ports: CheckPorts;
  readonly #found = new Map<string, Found>();
  #verdicts: Promise<readonly Verdict[]> | undefined;

  constructor(config: LogsConfig, ports: CheckPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  judge(signal: AbortSignal): Promise<readonly Verdict[]> {
    this.#verdicts ??= this.#look(signal);
    return this.#verdicts;
  }

  async #look(signal: AbortSignal): Promise<readonly Verdict[]> {
    const records = this.#config.system ? this.#records() : undefined;
    const sources = findSources(this.#ports.machine, this.#config, records !== undefined);
    const reach = new Reach(this.#ports.machine);
    reach.look();
    reach.close();
    const verdicts = sources.files.map((source) => this.#file(source, reach.whyNot(source.path)));
    if (sources.kernel !== undefined) verdicts.push(this.#kernel(new Matcher(sources.kernel), records ?? []));
    if (sources.journal !== undefined) verdicts.push(await this.#journal(new Matcher(sources.journal), signal));
    return [...verdicts, ...[...this.#found.values()].map((found) => this.#told(found))];
  }

  #file({ path, patterns, skipsKernel }: FileSource, whyNot: string | undefined): Verdict {
    if (whyNot !== undefined) return { state: "unknown", subject: path, because: whyNot };
    try {
      const place = this.#ports.machine.at(path);
      const look = lookAt(place);
      if (look === undefined) return ok(path, "not there");
      const file = openGrowing(place);
      if (file === undefined) return { state: "unknown", subject: path, because: `a ${look.kind}, not a plain file` };
      const bytes = Buffer.allocUnsafe(BYTES);
      const from = Math.max(0, look.size - BYTES);
      const text = bytes.subarray(0, file.read(bytes, BYTES, from));
      file.close();
      new Matcher(patterns).scan(from === 0 ? text : text.subarray(text.indexOf(10) + 1), (pattern, line) => {
        if (!skipsKernel || !isOfKernel(line)) this.#hit(pattern, line, path);
      });
      return ok(path, `looked through its last ${text.length} bytes`);
    } catch (cause) {
      return { state: "unknown", subject: path, because: cause instanceof Error ? cause.message : String(cause) };
    }
  }

  /** What the kernel still holds; undefined where it may not be asked. */
  #records(): string[] | undefined {
    try {
      const device = openRecords(this.#ports.machine.at(KERNEL_LOG));
      const records: string[] = [];
      for (let text = device.next(); text !== NONE && records.length < 100_000; text = device.next())
        if (text !== OVERWRITTEN) records.push(text);
      device.close();
      return records;
    } catch {
      return undefined;
    }
  }

  #kernel(matcher: Matcher, records: readonly string[]): Verdict {
    for (const text of records) {
      const record = parseRecord(text);
      if (record !== undefined)
        matcher.line(record.text, (pattern, line) => this.#hit(pattern, line, "the kernel's log"), record.isKernel);
    }
    return ok("kernel", `looked through ${records.length} records since boot`);
  }

  async #journal(matcher: Matcher, signal: AbortSignal): Promise<Verdict> {
    const { directory, priority } = this.#config.journal;
    const argv: [string, ...string[]] = [
      "journalctl",
      ...["--quiet", "--no-pager", "--output=short", "--since=-1d", `--lines=${JOURNAL_LINES}`],
      ...[`--priority=${priority}`, ...(directory === undefined ? [] : [`--directory=${directory}`])],
    ];
    try {
      const text = await this.#ports.run({ argv, deadlineMs: 8_000, outputCapBytes: 8 * 1024 * 1024, signal });
      matcher.scan(Buffer.from(text), (pattern, line) => this.#hit(pattern, line, "the journal"));
      return ok("journal", `looked through the last ${JOURNAL_LINES} lines of a day at most`);
    } catch (cause) {
      return { state: "unknown", subject: "journal", because: cause instanceof Error ? cause.message : String(cause) };
    }
  }

  #hit(pattern: Pattern, line: string, where: string): void {
    const found = this.#found.get(pattern.id) ?? { pattern, count: 0, where, line };
    this.#found.set(pattern.id, { ...found, count: found.count + 1, where, line });
  }

  /** A line tells not when it was written: a look back is a hint, never more than a warning. */
  #told({ pattern, count, where, line }: Found): Judged {
    const grade = count >= pattern.count ? "warning" : "ok";
    return {
      ...{ state: "judged", subject: pattern.id, grade, holds: grade, reason: pattern.id, title: pattern.title },
      ...{ value: count, unit: "count" },
      says: `${count} lines in what was looked through, the last in ${where}: ${excerptOf(line, this.#ports.redact)}`,
      readings: { found_count: count },
    };
  }
}

const ok = (subject: string, says: string): Judged => ({
  ...{ state: "judged", subject, grade: "ok", holds: "ok", reason: "followed", says, readings: {} },
});
