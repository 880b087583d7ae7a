import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const clocks: CheckKind<Config> = {
  id: "clock",
  name: { zh: "时钟", en: "Clock" },
  Config,
  titles: {},
  begin: () => undefined,
};
