import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 300_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const data: CheckKind<Config> = {
  id: "data",
  name: { zh: "数据目录", en: "Data folders" },
  Config,
  titles: {},
  begin: () => undefined,
};
