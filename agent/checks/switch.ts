import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 60_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const switches: CheckKind<Config> = {
  id: "switch",
  name: { zh: "网络设备", en: "Switches and routers" },
  Config,
  titles: {},
  begin: () => undefined,
};
