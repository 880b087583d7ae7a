import type { CheckKind } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";
import { ServiceConfig } from "./config.ts";

/** Do the services this device offers or needs answer, rightly and in time? */
export const services: CheckKind<ServiceConfig> = {
  id: "service",
  name: NAMES.service,
  Config: ServiceConfig,
  titles: {
    down: { zh: "服务无法访问", en: "Service does not answer" },
    unreachable: { zh: "服务主机无法到达", en: "Service out of reach" },
    status: { zh: "服务返回异常状态码", en: "Service answers with a wrong status" },
    body: { zh: "服务返回内容异常", en: "Service answers with wrong content" },
    certificate: { zh: "服务证书无效或即将到期", en: "Service's certificate is invalid or expires soon" },
    slow: { zh: "服务响应缓慢", en: "Service is slow" },
    gone: { zh: "服务不再受监视", en: "Service is no longer watched" },
  },
  begin: (config, ports) =>
    config.targets.length === 0
      ? undefined
      : judgeLater(async () => (await import("./turns.ts")).openServices(config, ports)),
};
