import type { AlarmChange } from "../../protocol/from-device.ts";

/** A change of an alarm before the journal gives it its place (boot, seq) and the device's time. */
export type AlarmDraft = { code: string; body: Omit<AlarmChange, "boot" | "seq" | "ts" | "since"> & { since?: number } };
