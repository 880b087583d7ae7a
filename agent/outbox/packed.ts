import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { DailyCheck } from "../../protocol/daily.ts";
import type { KeptDaily } from "../../protocol/record.ts";

type Day = Omit<DailyCheck, "boot" | "seq" | "ts">;
/** Far more than a daily check may have. */
const MOST_BYTES = 1_048_576;

/** A day's check as it waits: a tenth of its size, so that a month of them fits beside the alarms and wears the flash little. */
export function pack({ date, ...rest }: Day): Pick<KeptDaily, "date" | "packed"> {
  return { date, packed: deflateRawSync(JSON.stringify(rest), { level: 9 }).toString("base64") };
}

/**
 * The whole message again. What cannot be read (its frame was checksummed, so that is a fault of ours) becomes an empty
 * day: a record that is refused for ever would hold up everything behind it.
 */
export function unpack({ packed, ...place }: KeptDaily): DailyCheck {
  return { ...place, ...(contentOf(packed) ?? EMPTY) };
}

const EMPTY: Omit<Day, "date"> = {
  agent: "",
  ...{ critical_count: 0, major_count: 0, minor_count: 0, warning_count: 0 },
  ...{ unknown_count: 1, ok_count: 0, absent_count: 0, disabled_count: 0, cut_count: 1 },
  checks: [],
};

function contentOf(packed: string): Omit<Day, "date"> | undefined {
  try {
    return JSON.parse(inflateRawSync(Buffer.from(packed, "base64"), { maxOutputLength: MOST_BYTES }).toString("utf8"));
  } catch {
    return undefined;
  }
}
