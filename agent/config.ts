import * as z from "zod/mini";
import { BaseConfig } from "./base-config.ts";
import { checkConfigs } from "./checks/all.ts";

/** The agent's whole configuration, with that of every check there is. */
export const AgentConfig = z.extend(BaseConfig, { checks: z.prefault(checkConfigs, {}) });
export type AgentConfig = z.infer<typeof AgentConfig>;
