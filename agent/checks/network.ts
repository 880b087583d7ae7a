import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const network: CheckKind<Config> = {
  id: "network",
  name: { zh: "网络", en: "Network" },
  Config,
  titles: {},
  begin: () => undefined,
};
