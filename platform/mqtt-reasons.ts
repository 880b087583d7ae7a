import { Failure } from "../protocol/failure.ts";
import type { Broker } from "./broker-link.ts";

/** MQTT 5 §2.4: the reason codes a person may meet, by name. */
const REASONS: Readonly<Record<number, string>> = {
  16: "no-matching-subscribers",
  128: "unspecified",
  129: "malformed-packet",
  130: "protocol-error",
  131: "implementation-specific",
  132: "protocol-version-unsupported",
  133: "client-id-not-valid",
  134: "bad-user-name-or-password",
  135: "not-authorized",
  136: "server-unavailable",
  137: "server-busy",
  138: "banned",
  139: "server-shutting-down",
  140: "bad-authentication-method",
  141: "keep-alive-timeout",
  142: "session-taken-over",
  143: "topic-filter-invalid",
  144: "topic-name-invalid",
  145: "packet-id-in-use",
  147: "receive-maximum-exceeded",
  149: "packet-too-large",
  150: "message-rate-too-high",
  151: "quota-exceeded",
  152: "administrative-action",
  153: "payload-format-invalid",
  154: "retain-not-supported",
  155: "qos-not-supported",
};
const nameOf = (code: number): string => REASONS[code] ?? `reason-${code}`;

/** Only a person mends these: wrong credentials, an ACL, two devices with one client id. */
const STUBBORN = new Set([133, 134, 135, 138, 140, 142]);
/** An answer to a publish that will be the same tomorrow. */
const PERMANENT = new Set([135, 144, 149, 153]);

interface Ending {
  failure: Failure;
  stubborn: boolean;
}

const place = ({ host, port }: Broker) => ({ host, port });

/** The broker said no, with a reason code: to CONNECT, to SUBSCRIBE, or by DISCONNECT. */
export function refused(broker: Broker, code: number, to: "connect" | "subscribe" | "disconnect"): Ending {
  const facts = { ...place(broker), reason: nameOf(code), to };
  const message = `${broker.host}:${broker.port} refused: ${nameOf(code)}`;
  const goodbye = to === "disconnect" && !STUBBORN.has(code);
  return {
    failure: new Failure(goodbye ? "LINK_DOWN" : "LINK_REFUSED", message, { facts }),
    stubborn: STUBBORN.has(code),
  };
}

/** Network errors are `ECONNREFUSED` and the like; everything else with a code is TLS, where a person must look. */
const isNetwork = (code: string): boolean => /^E(AI_)?[A-Z0-9]+$/.test(code) && code !== "EPROTO";

/** The connection could not be made or went away. Without an error the peer simply closed it. */
export function brokenOff(broker: Broker, error?: Error): Ending {
  const code = error !== undefined && "code" in error ? error.code : undefined; // a number: mqtt.js met broken protocol
  const reason = typeof code === "string" ? code : error === undefined ? "closed" : "protocol";
  const says = error === undefined ? "closed by the broker" : error.message || reason; // an AggregateError says nothing
  const known = typeof code === "string" && !isNetwork(code) ? "LINK_REFUSED" : "LINK_DOWN";
  const message = `${broker.host}:${broker.port} ${says}`;
  return {
    failure: new Failure(known, message, { facts: { ...place(broker), reason }, cause: error }),
    stubborn: false,
  };
}

/** What a broker must be able to do for us, by its CONNACK; undefined when it can. */
export function unfit(broker: Broker, can?: { maximumQoS?: number; retainAvailable?: boolean }): Ending | undefined {
  if (can?.maximumQoS === 0) return refused(broker, 155, "connect");
  if (can?.retainAvailable === false) return refused(broker, 154, "connect");
  return undefined;
}

/** A PUBACK that is not plain success. */
export function deniedPublish(topic: string, reason: number): Failure {
  const facts = { topic, reason: nameOf(reason) };
  if (reason < 128) return new Failure("LINK_UNHEARD", `nobody is subscribed to ${topic}`, { facts });
  const code = PERMANENT.has(reason) ? "LINK_DENIED" : "LINK_REFUSED";
  return new Failure(code, `the broker does not take ${topic}: ${nameOf(reason)}`, { facts });
}
