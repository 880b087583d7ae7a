import * as z from "zod/mini";
import { type CheckKind, commonConfig, lowBand } from "../check.ts";
import { judgeLater } from "../later.ts";

const path = z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"));
const name = z.optional(z.string().check(z.regex(/^[^\s\p{C}]{1,80}$/u, "up to 80 characters without blanks")));
const days = lowBand(0, 3_650);
const periodMs = (fallback: number) => z._default(z.int().check(z.minimum(60_000), z.maximum(2_592_000_000)), fallback);

const CertificateFile = z.strictObject({
  path,
  /** Subject of its alarms; without, the path. */
  name,
  /** The private key that belongs to its first certificate. */
  keyFile: z.optional(path),
  /** Authorities that its first certificate must lead to, with the other certificates of the file. */
  caFile: z.optional(path),
});
export type CertificateFile = z.infer<typeof CertificateFile>;

const TlsServer = z.strictObject({
  host: z.string().check(z.minLength(1), z.maxLength(253)),
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  /** Subject of its alarms; without, `host:port`. */
  name,
  /** The name its certificate must be for, where that is not the host. */
  servername: z.optional(z.string().check(z.minLength(1), z.maxLength(253))),
  /** PEM of the authorities to trust; without, the public ones. */
  caFile: z.optional(path),
});
export type TlsServer = z.infer<typeof TlsServer>;

const most = <T>(schema: z.ZodMiniType<T>) => z._default(z.array(schema).check(z.maxLength(100)), []);

const CertificateConfig = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0, deadlineMs: 15_000 }),
  files: most(z.union([path, CertificateFile])),
  servers: most(TlsServer),
  /** The files of the agent's own link. */
  own: z._default(z.boolean(), true),
  /** What the brokers of the agent's own link show. */
  brokers: z._default(z.boolean(), true),
  fileEveryMs: periodMs(3_600_000),
  /** A server that was well is looked at so often. */
  serverEveryMs: periodMs(86_400_000),
  /** Days left. */
  daysLeft: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(days), { raise: 30, clear: 35 }),
      minor: z._default(z.optional(days), { raise: 14, clear: 15 }),
      major: z._default(z.optional(days), { raise: 3, clear: 4 }),
      critical: z.optional(days),
    }),
    {},
  ),
  /** The same for our own client certificate: once it has ended, this device is heard no more. */
  ownDaysLeft: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(days), { raise: 30, clear: 35 }),
      minor: z._default(z.optional(days), { raise: 14, clear: 15 }),
      major: z._default(z.optional(days), { raise: 7, clear: 8 }),
      critical: z._default(z.optional(days), { raise: 3, clear: 4 }),
    }),
    {},
  ),
  /** For one look at a server. */
  tryMs: z._default(z.int().check(z.minimum(500), z.maximum(60_000)), 8_000),
});
export type CertificateConfig = z.infer<typeof CertificateConfig>;

/** Does any certificate end soon, or not do what it is for? */
export const certificates: CheckKind<CertificateConfig> = {
  id: "certificate",
  name: { zh: "证书", en: "Certificates" },
  Config: CertificateConfig,
  titles: {
    expiring: { zh: "证书即将到期", en: "Certificate expires soon" },
    expired: { zh: "证书已过期", en: "Certificate has expired" },
    early: { zh: "证书尚未生效", en: "Certificate is not valid yet" },
    mismatch: { zh: "证书与私钥不匹配", en: "Certificate and key do not match" },
    incomplete: { zh: "证书链不完整", en: "Certificate chain is incomplete" },
    untrusted: { zh: "证书不受信任", en: "Certificate is not trusted" },
    name: { zh: "证书与主机名不符", en: "Certificate is for another name" },
    gone: { zh: "证书不再受监视", en: "Certificate is no longer watched" },
  },
  begin(config, ports) {
    const ownTls = (config.own || config.brokers) && ports.brokers.some(({ tls }) => tls !== undefined);
    if (config.files.length + config.servers.length === 0 && !ownTls) return undefined;
    return judgeLater(async () => (await import("./turns.ts")).openCertificates(config, ports));
  },
};
