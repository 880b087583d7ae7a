import type { CheckKind } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";
import { StreamConfig } from "./config.ts";
import { SIP_TITLES, TITLES } from "./titles.ts";

/** Are the video streams alive, and if not, at which hop did they die? */
export const streams: CheckKind<StreamConfig> = {
  id: "stream",
  name: NAMES.stream,
  Config: StreamConfig,
  titles: {
    ok: { zh: "视频流正常", en: "Stream is alive" },
    ...TITLES,
    ...SIP_TITLES,
    gone: { zh: "视频流不再受监视", en: "Stream is no longer watched" },
  },
  begin: (config, ports) =>
    config.targets.length === 0
      ? undefined
      : judgeLater(async () => (await import("./launch.ts")).openFleet(config, ports)),
};
