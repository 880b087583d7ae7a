import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 60_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const drift: CheckKind<Config> = {
  id: "drift",
  name: { zh: "配置漂移", en: "Config drift" },
  Config,
  titles: {},
  begin: () => undefined,
};
