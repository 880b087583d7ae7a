import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const commands: CheckKind<Config> = {
  id: "command",
  name: { zh: "插件", en: "Plugins" },
  Config,
  titles: {},
  begin: () => undefined,
};
