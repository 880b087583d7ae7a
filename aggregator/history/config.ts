import * as z from "zod";

const path = z.string().min(1).max(4096);
const GIB = 1_073_741_824;

/** How the performance history is kept. */
export const HistoryConfig = z
  .strictObject({
    /** File of the history; beside the ticket store where absent: `vigil.db` → `vigil-history.db`. */
    file: path.optional(),
    /** Samples are kept so many days, hourly values so many. */
    rawDays: z.int().min(1).max(3_650).default(30),
    hourlyDays: z.int().min(1).max(36_500).default(1_095),
    /** Of each code of a device at most one sample in so many seconds is kept; the newest one is always at hand. */
    rawEveryS: z.int().min(1).max(3_600).default(60),
    /** Figures of one code of one device. */
    figures: z.int().min(1).max(255).default(64),
    /** Over it the oldest samples go early, then the oldest hourly values. */
    maxBytes: z
      .int()
      .min(16_777_216)
      .max(4_096 * GIB)
      .default(32 * GIB),
    /** Nothing is written while less is free on the disk: that belongs to the tickets. */
    leaveFreeBytes: z
      .int()
      .min(0)
      .max(4_096 * GIB)
      .default(GIB / 2),
  })
  .prefault({});
export type HistoryConfig = z.output<typeof HistoryConfig>;
