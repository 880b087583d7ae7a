import type { CheckKind } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";
import { SwitchConfig } from "./config.ts";

/** Are the switches and routers around us there, and do their ports carry what they should? */
export const switches: CheckKind<SwitchConfig> = {
  id: "switch",
  name: NAMES.switch,
  Config: SwitchConfig,
  titles: {
    unreachable: { zh: "网络设备无响应", en: "Network device does not answer" },
    snmp: { zh: "网络设备在线但SNMP无响应", en: "Network device is there, but its SNMP does not answer" },
    auth: { zh: "网络设备SNMP认证失败", en: "Network device refuses our SNMP user" },
    restarted: { zh: "网络设备发生重启", en: "Network device has restarted" },
    "port-down": { zh: "端口链路断开", en: "Port is down" },
    "port-up": { zh: "端口意外接通", en: "Port is up though it should not be" },
    "port-speed": { zh: "端口速率低于要求", en: "Port is too slow" },
    "port-errors": { zh: "端口错误帧过多", en: "Port has many errors" },
    "port-discards": { zh: "端口丢包过多", en: "Port discards many frames" },
    "port-busy": { zh: "端口利用率过高", en: "Port is nearly full" },
    gone: { zh: "不再受监视", en: "No longer watched" },
  },
  begin: (config, ports) =>
    config.devices.length === 0
      ? undefined
      : judgeLater(async () => (await import("./turns.ts")).openSwitches(config, ports)),
};
