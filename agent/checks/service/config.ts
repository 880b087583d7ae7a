import * as z from "zod/mini";
import { SEVERITIES } from "../../../protocol/severity.ts";
import { commonConfig, highBand, lowBand, namedOnce } from "../check.ts";
import { regexFault } from "../regex-lint.ts";

const text = (most: number) => z.string().check(z.minLength(1), z.maxLength(most));
const path = z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"));
const name = z.string().check(z.regex(/^[^\s\p{C}]{1,80}$/u, "up to 80 characters without blanks"));
const latency = highBand(1, 60_000);
const days = lowBand(0, 3_650);

/** What every target has. */
const common = {
  /** The subject of its alarms. */
  name,
  /** Of a service that is down, answers wrongly or cannot be trusted. */
  severity: z._default(z.enum(SEVERITIES), "major"),
  everyMs: z._default(z.int().check(z.minimum(5_000), z.maximum(86_400_000)), 60_000),
  /** For one try: name, connection, handshake, answer. */
  deadlineMs: z._default(z.int().check(z.minimum(500), z.maximum(30_000)), 5_000),
  /** From the beginning to the first byte of the answer; of a plain connection until it stands. */
  latencyMs: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(latency), { raise: 3_000, clear: 2_000 }),
      minor: z.optional(latency),
      major: z.optional(latency),
    }),
    {},
  ),
};

/** `200`, or a range `200-299`. */
const status = z.union([
  z.int().check(z.minimum(100), z.maximum(599)),
  z.string().check(
    z.regex(/^[1-5]\d\d-[1-5]\d\d$/, "a status or a range such as 200-299"),
    z.refine((range) => range.slice(0, 3) <= range.slice(4), "the range must not run backwards"),
  ),
]);

const OURS = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "connection",
  "content-length",
  "transfer-encoding",
]);
const headers = z
  .record(
    z.string().check(z.regex(/^[A-Za-z0-9-]{1,60}$/, "a header's name")),
    z.string().check(z.regex(/^[\x20-\x7e]{0,500}$/, "printable ASCII")),
  )
  .check(
    z.refine(
      (all) => Object.keys(all).every((key) => !OURS.has(key.toLowerCase())),
      `must not hold ${[...OURS].join(", ")}: secrets belong into passwordFile or tokenFile`,
    ),
  );

const url = z.string().check(
  z.maxLength(2_000),
  z.refine((value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    return (parsed?.protocol === "http:" || parsed?.protocol === "https:") && parsed.username + parsed.password === "";
  }, "an http:// or https:// address without user name and password"),
);

/**
 * What some line of the body (of its first 64 KiB) must hold, or with `absent` must not: the words of `contains`, and
 * where `regex` is given, that too, which must not be possible without those words.
 */
const BodyMatch = z
  .strictObject({
    contains: text(500),
    regex: z.optional(text(500)),
    absent: z._default(z.boolean(), false),
  })
  .check((context) => {
    const { contains, regex } = context.value;
    const fault = regex === undefined ? undefined : regexFault(regex, [contains]);
    if (fault !== undefined)
      context.issues.push({ code: "custom", message: fault, path: ["regex"], input: regex, continue: true });
  });

const HttpTarget = z
  .strictObject({
    ...common,
    type: z.literal("http"),
    url,
    method: z._default(z.enum(["GET", "HEAD", "POST", "OPTIONS"]), "GET"),
    headers: z.optional(headers),
    /** Sent with POST. */
    body: z.optional(text(4_096)),
    /** With `passwordFile`: HTTP basic authentication. */
    user: z.optional(text(200)),
    /** 0600; read for each try. */
    passwordFile: z.optional(path),
    /** 0600; sent as `Authorization: Bearer …`, or as it is in `tokenHeader`. */
    tokenFile: z.optional(path),
    tokenHeader: z.optional(z.string().check(z.regex(/^[A-Za-z0-9-]{1,60}$/, "a header's name"))),
    /** Redirects on the same host to follow. */
    redirects: z._default(z.int().check(z.minimum(0), z.maximum(3)), 0),
    expectStatus: z._default(z.array(status).check(z.minLength(1), z.maxLength(20)), ["200-299"]),
    bodyMatch: z.optional(BodyMatch),
    /** PEM of the authorities to trust; without, the public ones. */
    caFile: z.optional(path),
    /** Days left of what the server shows. */
    certificateDays: z.prefault(
      z.strictObject({
        warning: z._default(z.optional(days), { raise: 30, clear: 35 }),
        minor: z._default(z.optional(days), { raise: 14, clear: 15 }),
        major: z._default(z.optional(days), { raise: 3, clear: 4 }),
      }),
      {},
    ),
  })
  .check(
    z.refine((one) => one.body === undefined || one.method === "POST", "body needs method POST"),
    z.refine(
      (one) => (one.user === undefined) === (one.passwordFile === undefined),
      "user and passwordFile go together",
    ),
    z.refine(
      (one) => one.tokenFile === undefined || one.passwordFile === undefined,
      "passwordFile or tokenFile, not both",
    ),
    z.refine((one) => one.tokenHeader === undefined || one.tokenFile !== undefined, "tokenHeader needs tokenFile"),
    z.refine(
      (one) => one.redirects === 0 || one.method === "GET" || one.method === "HEAD",
      "redirects need GET or HEAD",
    ),
    z.refine((one) => one.bodyMatch === undefined || one.method !== "HEAD", "HEAD brings no body to match"),
  );
export type HttpTarget = z.infer<typeof HttpTarget>;

const TcpTarget = z.strictObject({
  ...common,
  type: z.literal("tcp"),
  host: text(253),
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  /** What it must say, in its first 4 KiB, after `send` was sent if there is one. */
  banner: z.optional(z.strictObject({ send: z.optional(text(500)), expect: text(200) })),
});
export type TcpTarget = z.infer<typeof TcpTarget>;

export type Target = HttpTarget | TcpTarget;

export const ServiceConfig = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 20_000, holdOffMs: 20_000, deadlineMs: 15_000 }),
  targets: z._default(
    z.array(z.discriminatedUnion("type", [HttpTarget, TcpTarget])).check(z.maxLength(50), namedOnce),
    [],
  ),
});
export type ServiceConfig = z.infer<typeof ServiceConfig>;
