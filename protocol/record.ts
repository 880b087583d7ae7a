import type { DailyCheck } from "./daily.ts";
import type { AlarmChange, DeviceEvent } from "./from-device.ts";

/** Something to tell that has no place in the device's history yet; the outbox gives it boot, seq and time. */
export type Draft =
  | { kind: "alarm"; code: string; body: Omit<AlarmChange, "boot" | "seq" | "ts"> }
  | { kind: "event"; code: string; body: Omit<DeviceEvent, "boot" | "seq" | "ts"> }
  | { kind: "daily"; code: "daily"; body: Omit<DailyCheck, "boot" | "seq" | "ts"> };

/** A day's check with its place. `packed` is the rest of it, compressed: a month of them may have to wait on a small device. */
export interface KeptDaily extends Pick<DailyCheck, "date" | "boot" | "seq" | "ts"> {
  packed: string;
}

/** An alarm change, a moment or a day's check with its place: what the journal keeps and the courier publishes. */
export type Kept =
  | { kind: "alarm"; code: string; body: AlarmChange }
  | { kind: "event"; code: string; body: DeviceEvent }
  | { kind: "daily"; code: "daily"; body: KeptDaily };
export type KeptAlarm = Extract<Kept, { kind: "alarm" }>;
