import * as z from "zod/mini";
import { BOOT_PATTERN } from "./boot.ts";

/** What a device is told. Parsed on the device, so built with zod/mini (docs/decisions/0003). */

/** Every record of `boot` or earlier up to and with `seq` is committed in the ticket store: the outbox may free it. */
export const Ack = z.object({ boot: z.string().check(z.regex(BOOT_PATTERN)), seq: z.int().check(z.nonnegative()) });
export type Ack = z.infer<typeof Ack>;

/** `cmd/resync`: tell everything again, from info to state. */
export const Resync = z.object({ because: z.optional(z.string().check(z.maxLength(200))) });
export type Resync = z.infer<typeof Resync>;

/** `cmd/inventory`: publish the inventory document, which the aggregator lacks. */
export const InventoryAsk = z.object({ because: z.optional(z.string().check(z.maxLength(200))) });
export type InventoryAsk = z.infer<typeof InventoryAsk>;

/** Birth and will of an aggregator; a device that hears a new `boot` sends what is not acknowledged at once. */
export const AggregatorState = z.object({
  online: z.boolean(),
  boot: z.string().check(z.regex(BOOT_PATTERN)),
  ts: z.int(),
  reason: z.enum(["birth", "will", "shutdown"]),
  version: z.string().check(z.maxLength(40)),
  lag_ms: z.optional(z.number()),
  queue: z.optional(z.int()),
});
export type AggregatorState = z.infer<typeof AggregatorState>;

/** Largest payload a device accepts from the broker, in bytes. */
export const MAX_TO_DEVICE_BYTES = 8192;
