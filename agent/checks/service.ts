import * as z from "zod/mini";
import { type CheckKind, commonConfig } from "./check.ts";

const Config = z.strictObject({ ...commonConfig({ every: { everyMs: 30_000 }, holdOnMs: 0, holdOffMs: 0 }) });
type Config = z.infer<typeof Config>;

export const services: CheckKind<Config> = {
  id: "service",
  name: { zh: "服务", en: "Services" },
  Config,
  titles: {},
  begin: () => undefined,
};
