import { checkConfigs } from "../../agent/checks/all.ts";

/** Config that switches off every check but those named. */
export const allOff = (...but: string[]): Record<string, { enabled: false }> =>
  Object.fromEntries(
    Object.keys(checkConfigs.shape).flatMap((id) => (but.includes(id) ? [] : [[id, { enabled: false as const }]])),
  );
