import type { JSONSchema } from "zod/v4/core";
import type { MessageKind } from "../protocol/messages.ts";
import { CODE_PATTERN, ID_PATTERN, TICKET_PATTERN } from "../protocol/topics.ts";

/** A message with its JSON Schema (draft 7), as documents need it. */
export interface Message extends MessageKind {
  name: string;
  payload: JSONSchema.BaseSchema;
}

const PARAMETERS: Readonly<Record<string, { description: string; examples: string[] }>> = {
  device: { description: `Id of a device: ${ID_PATTERN.source}`, examples: ["terminal-0071"] },
  node: { description: `Id of an aggregator: ${ID_PATTERN.source}`, examples: ["desk-1"] },
  code: { description: `Check, and subject where there is one: ${CODE_PATTERN.source}`, examples: ["disk.var"] },
  ticket: { description: `Number of a ticket: ${TICKET_PATTERN.source}`, examples: ["GZ-20261122-0007"] },
};

/** The AsyncAPI 3.0.0 document of all messages: one channel per topic, one operation per sender. Throws on an undescribed topic parameter. */
export function asyncApi(messages: readonly Message[], version: string): object {
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Vigil 守望",
      version,
      description:
        "What device agents and aggregators say to each other over MQTT. Made by `npm run docs`: do not edit.",
      license: { name: "Apache-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      broker: {
        host: "{host}:8883",
        protocol: "mqtts",
        protocolVersion: "5.0",
        variables: { host: { default: "localhost" } },
      },
    },
    channels: byName(messages, (message) => [channelId(message), channel(message)]),
    operations: byName(messages, (message) => [`${message.from}Sends${message.name}`, operation(message)]),
    components: {
      parameters: PARAMETERS,
      messages: byName(messages, ({ name, says, payload }) => [
        name,
        { name, title: name, summary: says, contentType: "application/json", payload },
      ]),
    },
  };
}

const byName = (messages: readonly Message[], entry: (message: Message) => [string, object]) =>
  Object.fromEntries(messages.map(entry));

const channelId = ({ name }: Message) => name.charAt(0).toLowerCase() + name.slice(1);

function channel({ name, topic, says }: Message): object {
  const parameters = [...topic.matchAll(/\{(\w+)\}/g)].map(([, parameter = ""]) => {
    if (!Object.hasOwn(PARAMETERS, parameter)) throw new Error(`topic ${topic}: describe its parameter ${parameter}`);
    return [parameter, { $ref: `#/components/parameters/${parameter}` }];
  });
  return {
    address: topic,
    summary: says,
    messages: { [name]: { $ref: `#/components/messages/${name}` } },
    parameters: Object.fromEntries(parameters),
  };
}

function operation(message: Message): object {
  const { from, to, says, qos, retained, expiryS } = message;
  const at = `#/channels/${channelId(message)}`;
  const expiry = expiryS === undefined ? {} : { messageExpiryInterval: expiryS };
  return {
    action: "send",
    channel: { $ref: at },
    summary: says,
    description: `Sent by the ${from}, read by: ${to}.`,
    bindings: { mqtt: { qos, retain: retained, ...expiry, bindingVersion: "0.2.0" } },
    messages: [{ $ref: `${at}/messages/${message.name}` }],
  };
}
