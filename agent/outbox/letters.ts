import type { Outgoing } from "../../platform/broker-link.ts";
import type { DeviceInfo, DeviceState } from "../../protocol/from-device.ts";
import type { Kept, KeptAlarm } from "../../protocol/record.ts";
import { topics } from "../../protocol/topics.ts";
import { flat } from "./entries.ts";
import type { KeptTelemetry } from "./outbox.ts";
import { unpack } from "./packed.ts";

/** What a device writes to whom, as the broker takes it. Pure: each fact one flat JSON object on its own topic. */
const EVENT_EXPIRY_S = 604_800;
/** The longest `active` a state may carry, characters; more is left out rather than cut. */
const MOST_ACTIVE = 6_144;

const toJson = (body: object): string => JSON.stringify(flat(body));

/**
 * An alarm change, event or daily check. Only the last change of a code is retained: an older one sent again must not put itself
 * over the newer in the broker's memory.
 */
export function recordLetter(device: string, kept: Kept, isLast: boolean): Outgoing {
  if (kept.kind === "daily") {
    const payload = JSON.stringify(unpack(kept.body));
    return { topic: topics.daily(device), payload, qos: 1, expiryS: EVENT_EXPIRY_S };
  }
  const payload = toJson(kept.body);
  return kept.kind === "alarm"
    ? { topic: topics.alarm(device, kept.code), payload, qos: 1, retain: isLast }
    : { topic: topics.event(device, kept.code), payload, qos: 1, expiryS: EVENT_EXPIRY_S };
}

export const infoLetter = (device: string, info: DeviceInfo): Outgoing => ({
  topic: topics.info(device),
  payload: toJson(info),
  qos: 1,
  retain: true,
});

export const stateLetter = (device: string, state: DeviceState): Outgoing => ({
  topic: topics.state(device),
  payload: toJson(state),
  qos: 1,
  retain: true,
});

/** Figures: of the moment at QoS 0, from the backlog at QoS 1 so that they can be freed one by one. */
export const telemetryLetter = (device: string, { code, body }: Omit<KeptTelemetry, "id">, qos: 0 | 1): Outgoing => ({
  topic: topics.tele(device, code),
  payload: toJson(body),
  qos,
});

/** Codes of all active alarms, parted by spaces; undefined when they are too many to list. */
export function activeCodes(latest: readonly KeptAlarm[]): string | undefined {
  const codes = latest.filter(({ body }) => body.active).map(({ code }) => code);
  const text = codes.join(" ");
  return text.length <= MOST_ACTIVE ? text : undefined;
}
