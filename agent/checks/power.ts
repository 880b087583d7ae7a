import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const power: CheckKind<Config> = {
  id: "power",
  name: { zh: "供电", en: "Power" },
  Config,
  titles: {},
  begin: () => undefined,
};
