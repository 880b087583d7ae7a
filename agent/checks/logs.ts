import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const logs: CheckKind<Config> = {
  id: "logs",
  name: { zh: "日志", en: "Logs" },
  Config,
  titles: {},
  begin: () => undefined,
};
