import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./peers.ts";

/** Paths of a certificate and its key. */
export interface Pair {
  cert: string;
  key: string;
}

export interface TestCa {
  ca: string;
  /** For 127.0.0.1 and localhost. */
  server: Pair;
  /** A client certificate whose common name is `name`. */
  client(name: string): Pair;
}

/** A throw-away authority in `folder`, with a server certificate; EC keys, made by the openssl program. */
export function testCa(folder: string, name = "test-ca"): TestCa {
  const at = (file: string): string => join(folder, `${name}-${file}`);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca: Pair = { cert: at("ca.pem"), key: at("ca.key") };
  run("openssl", ["req", "-x509", ...newKey, "-days", "2", "-subj", `/CN=${name}`, "-keyout", ca.key, "-out", ca.cert]);
  const sign = (subject: string, extension: string): Pair => {
    const pair: Pair = { cert: at(`${subject}.pem`), key: at(`${subject}.key`) };
    const request = at(`${subject}.csr`);
    run("openssl", ["req", ...newKey, "-subj", `/CN=${subject}`, "-keyout", pair.key, "-out", request]);
    writeFileSync(at(`${subject}.ext`), extension);
    const signed = [
      "-CA",
      ca.cert,
      "-CAkey",
      ca.key,
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      at(`${subject}.ext`),
    ];
    run("openssl", ["x509", "-req", "-in", request, ...signed, "-out", pair.cert]);
    return pair;
  };
  const server = sign("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
  return { ca: ca.cert, server, client: (subject) => sign(subject, "extendedKeyUsage=clientAuth\n") };
}
