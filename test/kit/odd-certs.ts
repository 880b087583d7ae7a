import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pair } from "./certs.ts";
import { run } from "./peers.ts";

export interface OddCertificate {
  /** Days from now; negative is the past. */
  fromDays?: number;
  toDays?: number;
  /** Extension subjectAltName. */
  altNames?: string;
  /** Signed by the intermediate instead of the root. */
  byIntermediate?: boolean;
}

export interface OddCa {
  root: string;
  intermediate: string;
  /** A server certificate as wanted; good for 127.0.0.1 and localhost unless `altNames` says otherwise. */
  make(name: string, how?: OddCertificate): Pair;
  /** A certificate that signed itself. */
  selfSigned(name: string): Pair;
  /** Several PEM files as one; returns its path. */
  bundle(name: string, files: readonly string[]): string;
}

const DAY_S = 86_400;

/** An authority in `folder` whose certificates may be of any time; `nowMs` is what "now" means. Made by the openssl program. */
export function oddCa(folder: string, nowMs: number): OddCa {
  const at = (file: string): string => join(folder, file);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  mkdirSync(at("issued"), { recursive: true });
  writeFileSync(at("index.txt"), "");
  writeFileSync(at("serial"), "1000\n");
  writeFileSync(
    at("ca.cnf"),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${at("index.txt")}\nserial=${at("serial")}\nnew_certs_dir=${at("issued")}\ndefault_md=sha256\nunique_subject=no\npolicy=p\n[p]\ncommonName=supplied\n`,
  );
  const stamp = (days: number): string =>
    new Date(nowMs + days * DAY_S * 1_000).toISOString().replace(/[-:T]|\.\d+/g, "");
  const sign = (name: string, by: Pair, extension: string, fromDays: number, toDays: number): Pair => {
    const pair: Pair = { cert: at(`${name}.pem`), key: at(`${name}.key`) };
    run("openssl", ["req", ...newKey, "-subj", `/CN=${name}`, "-keyout", pair.key, "-out", at(`${name}.csr`)]);
    writeFileSync(at(`${name}.ext`), extension);
    const times = ["-startdate", stamp(fromDays), "-enddate", stamp(toDays)];
    const files = [
      "-cert",
      by.cert,
      "-keyfile",
      by.key,
      "-in",
      at(`${name}.csr`),
      "-out",
      pair.cert,
      "-extfile",
      at(`${name}.ext`),
    ];
    run("openssl", ["ca", "-batch", "-notext", "-config", at("ca.cnf"), ...times, ...files]);
    return pair;
  };
  const selfSigned = (name: string): Pair => {
    const pair: Pair = { cert: at(`${name}.pem`), key: at(`${name}.key`) };
    run("openssl", [
      "req",
      "-x509",
      ...newKey,
      "-days",
      "3650",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      pair.key,
      "-out",
      pair.cert,
    ]);
    return pair;
  };
  const root = selfSigned("odd-root");
  const authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
  const intermediate = sign("odd-intermediate", root, authority, -1, 3_000);
  return {
    root: root.cert,
    intermediate: intermediate.cert,
    selfSigned,
    make: (
      name,
      { fromDays = -1, toDays = 365, altNames = "DNS:localhost,IP:127.0.0.1", byIntermediate = false } = {},
    ) => sign(name, byIntermediate ? intermediate : root, `subjectAltName=${altNames}\n`, fromDays, toDays),
    bundle: (name, files) => {
      writeFileSync(at(name), files.map((file) => readFileSync(file, "utf8")).join(""));
      return at(name);
    },
  };
}
