import type { AlarmChange, DeviceEvent } from "./from-device.ts";

/** Something to tell that has no place in the device's history yet; the outbox gives it boot, seq and time. */
export type Draft =
  | { kind: "alarm"; code: string; body: Omit<AlarmChange, "boot" | "seq" | "ts"> }
  | { kind: "event"; code: string; body: Omit<DeviceEvent, "boot" | "seq" | "ts"> };

/** An alarm change or a moment with its place: what the journal keeps and the courier publishes. */
export type Kept =
  | { kind: "alarm"; code: string; body: AlarmChange }
  | { kind: "event"; code: string; body: DeviceEvent };
export type KeptAlarm = Extract<Kept, { kind: "alarm" }>;
