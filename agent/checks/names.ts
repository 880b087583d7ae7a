/** What the checks are called that are read only when the config names something for them. */
export const NAMES = {
  switch: { zh: "网络设备", en: "Switches and routers" },
  drift: { zh: "配置漂移", en: "Config drift" },
  data: { zh: "数据量", en: "Data" },
  database: { zh: "数据库", en: "Databases" },
  service: { zh: "服务", en: "Services" },
  command: { zh: "插件", en: "Plugins" },
  stream: { zh: "视频流", en: "Streams" },
} as const;
