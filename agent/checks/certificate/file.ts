import { createPrivateKey, X509Certificate } from "node:crypto";
import { factsOf } from "../../../platform/certificate-facts.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Bands, type Condition, gradeLow } from "../check.ts";

const DAY_MS = 86_400_000;
const BEGIN = "-----BEGIN ";
const END = "-----END ";
const MOST = 1_000;

const unusable = (reason: string, cause?: unknown): Failure =>
  new Failure("FILE_UNUSABLE", reason, { facts: { reason }, cause });

/**
 * The certificates of a file, PEM (any number, with any text around them) or DER (one), in their order. Throws Failure
 * FILE_UNUSABLE when there is none, or one that cannot be read.
 */
export function certificatesIn(bytes: Buffer): X509Certificate[] {
  const blocks = bytes[0] === 0x30 ? [bytes] : pemBlocks(bytes.toString("latin1"));
  if (blocks.length === 0) throw unusable("there is no certificate in it");
  if (blocks.length > MOST) throw unusable(`more than ${MOST} certificates are in it`);
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw unusable(`certificate ${i + 1} of ${blocks.length} in it cannot be read`, cause);
    }
  });
}

/** Every `-----BEGIN … CERTIFICATE-----` up to its end; keys and requests in the same file are passed over. */
function pemBlocks(text: string): string[] {
  const blocks: string[] = [];
  for (let at = text.indexOf(BEGIN); at >= 0; at = text.indexOf(BEGIN, at + 1)) {
    const label = text.slice(at + BEGIN.length, text.indexOf("-----", at + BEGIN.length));
    if (label !== "CERTIFICATE" && label !== "TRUSTED CERTIFICATE" && label !== "X509 CERTIFICATE") continue;
    const end = text.indexOf(`${END}${label}-----`, at);
    blocks.push(end < 0 ? text.slice(at) : text.slice(at, end + END.length + label.length + 5));
  }
  return blocks;
}

/** One certificate's time, judged by days left. */
export function timeLeft(
  { subject, notBeforeMs, notAfterMs, notAfter }: ReturnType<typeof factsOf>,
  wall: number,
  bands: Bands,
): Condition[] {
  const days = Math.floor((notAfterMs - wall) / DAY_MS);
  const ended = notAfterMs <= wall;
  const grades = gradeLow(days, bands);
  const early = notBeforeMs > wall;
  const says = `"${subject}" ${ended ? `ended ${-days} days ago` : `ends in ${days} days`}, ${notAfter}`;
  return [
    {
      ...(ended && grades.grade === "ok" ? flat("major") : grades),
      ...{ reason: ended ? "expired" : "expiring", value: days, unit: "days", says, readings: { left_days: days } },
    },
    {
      ...flat(early ? "major" : "ok"),
      reason: "early",
      says: `"${subject}" is valid only in ${Math.ceil((notBeforeMs - wall) / DAY_MS)} days: it, or this machine's clock, is wrong`,
      readings: {},
    },
  ];
}

/** Of several certificates the one that ends first decides. */
export function judgeTimes(certificates: readonly X509Certificate[], wall: number, bands: Bands): Condition[] {
  const [first, ...others] = certificates.map(factsOf);
  if (first === undefined) throw unusable("there is no certificate in it");
  const ends = others.reduce((soonest, one) => (one.notAfterMs < soonest.notAfterMs ? one : soonest), first);
  const begins = others.reduce((latest, one) => (one.notBeforeMs > latest.notBeforeMs ? one : latest), first);
  const conditions = [...timeLeft(ends, wall, bands).slice(0, 1), ...timeLeft(begins, wall, bands).slice(1)];
  const of = others.length === 0 ? "" : `, the first of ${certificates.length} to end`;
  return conditions.map((one) => (one.reason === "early" ? one : { ...one, says: `${one.says}${of}` }));
}

/** Whether the key belongs to the file's first certificate. Throws Failure FILE_UNUSABLE when it is no key that can be read. */
export function judgeKey(certificate: X509Certificate, key: Buffer): Condition {
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw unusable("its key file holds no key that can be read", cause);
  }
  const says = `the key ${matches ? "belongs" : "does not belong"} to "${factsOf(certificate).subject}"`;
  return { ...flat(matches ? "ok" : "major"), reason: "mismatch", says, readings: {} };
}

/** Whether the file's first certificate leads, over the others, to one of `authorities`. */
export function judgeChain(
  certificates: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): Condition {
  const [leaf] = certificates;
  if (leaf === undefined) throw unusable("there is no certificate in it");
  const signedBy = (one: X509Certificate, of: readonly X509Certificate[]): X509Certificate | undefined =>
    of.find((issuer) => one.checkIssued(issuer) && one.verify(issuer.publicKey));
  let end = leaf;
  for (let links = 0; links <= certificates.length; links += 1) {
    if (signedBy(end, authorities) !== undefined)
      return {
        ...flat("ok"),
        reason: "incomplete",
        says: `it leads to a known authority over ${links} others`,
        readings: {},
      };
    const next = signedBy(end, certificates);
    if (next === undefined || next === end) break;
    end = next;
  }
  const { subject, issuer } = factsOf(end);
  const says = `"${issuer}", which signed "${subject}", is neither in the file nor among the authorities`;
  return { ...flat("major"), reason: "incomplete", says, readings: {} };
}

const flat = (grade: Condition["grade"]): Pick<Condition, "grade" | "holds"> => ({ grade, holds: grade });
