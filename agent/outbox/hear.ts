import type { Incoming } from "../../platform/broker-link.ts";
import type { Place } from "../../protocol/boot.ts";
import { Failure } from "../../protocol/failure.ts";
import { Ack, AggregatorState, InventoryAsk, MAX_TO_DEVICE_BYTES, Resync } from "../../protocol/to-device.ts";
import { readToDeviceTopic } from "../../protocol/topics.ts";

/** What a device understands of what it is told. */
export type Heard =
  | { kind: "ack"; place: Place }
  | { kind: "resync" }
  | { kind: "inventory" }
  | { kind: "aggregator"; node: string; boot: string; online: boolean; ts: number };

/** Reads one message of whatever origin. Throws MESSAGE_TOPIC, MESSAGE_TOO_LARGE or MESSAGE_INVALID, nothing else. */
export function hear(device: string, { topic, payload }: Incoming): Heard {
  const about = readToDeviceTopic(device, topic);
  if (payload.length > MAX_TO_DEVICE_BYTES) {
    throw new Failure("MESSAGE_TOO_LARGE", "too large", { facts: { kind: about.kind, bytes: payload.length } });
  }
  const body = bodyOf(payload, about.kind);
  switch (about.kind) {
    case "ack":
      return { kind: "ack", place: fitting(Ack.safeParse(body), about.kind) };
    case "aggregator": {
      const { boot, online, ts } = fitting(AggregatorState.safeParse(body), about.kind);
      return { kind: "aggregator", node: about.node, boot, online, ts };
    }
    case "command":
      if (about.name === "inventory") {
        fitting(InventoryAsk.safeParse(body), "inventory");
        return { kind: "inventory" };
      }
      if (about.name !== "resync") throw invalid("command", `no command ${about.name}`);
      fitting(Resync.safeParse(body), "resync");
      return { kind: "resync" };
  }
}

function bodyOf(payload: Uint8Array, kind: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
  } catch (cause) {
    throw invalid(kind, "not JSON", cause);
  }
}

function fitting<T>(parsed: { success: true; data: T } | { success: false; error: unknown }, kind: string): T {
  if (parsed.success) return parsed.data;
  throw invalid(kind, "not as its schema wants it", parsed.error);
}

const invalid = (kind: string, message: string, cause?: unknown): Failure =>
  new Failure("MESSAGE_INVALID", message, { facts: { kind }, cause });
