import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 3_600_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const databases: CheckKind<Config> = {
  id: "database",
  name: { zh: "数据库", en: "Databases" },
  Config,
  titles: {},
  begin: () => undefined,
};
