import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 3_600_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const wear: CheckKind<Config> = {
  id: "wear",
  name: { zh: "存储寿命", en: "Storage wear" },
  Config,
  titles: {},
  begin: () => undefined,
};
