import * as z from "zod";
import { Limits } from "./limits.ts";

/** How trends are looked for. */
export const TrendsConfig = z
  .strictObject({
    enabled: z.boolean().default(true),
    /** Hourly values of so many days are looked at. */
    windowDays: z.int().min(5).max(38).default(28),
    /** Days with figures, since the last jump, before anything is said. */
    leastDays: z.int().min(4).max(38).default(4),
    /** How sure it must be. One in 1/(1 − this) figures that only make noise is taken for a trend; few of those reach a limit. */
    confidence: z.number().min(0.5).max(0.9999).default(0.95),
    /** Told when the limit is reached within so many days. */
    horizonDays: z.number().min(1).max(365).default(14),
    /** It must have been seen for so long before it is told, and be gone for so long before it is taken back. */
    holdHours: z.number().min(0).max(240).default(6),
    clearHours: z.number().min(1).max(240).default(24),
    outliers: z
      .strictObject({
        /** Devices of a class that tell the figure, at least. */
        leastDevices: z.int().min(4).max(100_000).default(8),
        /** Distance from the class's median in robust standard deviations. */
        score: z.number().min(3).max(100).default(6),
        holdHours: z.number().min(0).max(240).default(24),
      })
      .prefault({}),
    limits: Limits.prefault({}),
  })
  .prefault({});
export type TrendsConfig = z.output<typeof TrendsConfig>;
