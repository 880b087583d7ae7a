import type { Draft } from "../../protocol/record.ts";

/** An alarm change of `code`; `since` tells one from another. */
export function alarmChange(code: string, active = true, since = 1): Extract<Draft, { kind: "alarm" }> {
  return {
    kind: "alarm",
    code,
    body: {
      active,
      severity: "major",
      kind: active ? "raised" : "cleared",
      since,
      check: code.split(".")[0] ?? code,
      subject: code,
      reason: "space",
      title_zh: "磁盘空间不足",
      title_en: "disk almost full",
    },
  };
}
