import type { CheckKind, Judge } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";
import { DriftConfig } from "./config.ts";

/** Are the files still as somebody signed them off? */
export const drift: CheckKind<DriftConfig> = {
  id: "drift",
  name: NAMES.drift,
  Config: DriftConfig,
  titles: {
    changed: { zh: "配置与基线不一致", en: "Config differs from its baseline" },
    missing: { zh: "配置文件缺失", en: "Config file missing" },
    replaced: { zh: "配置文件被替换为其他类型", en: "Config file replaced by something else" },
    rights: { zh: "配置文件属主或权限变化", en: "Owner or mode of a config changed" },
    appeared: { zh: "出现基线以外的配置文件", en: "Config file that is not in the baseline" },
    unsigned: { zh: "配置基线未签署", en: "Config baseline not signed off" },
    gone: { zh: "配置不再受检查", en: "Config not watched any more" },
  },
  begin: (config, ports): Judge | undefined =>
    config.files.length === 0
      ? undefined
      : judgeLater(async () => (await import("./judge.ts")).driftJudge(config, ports)),
};
