import { Failure } from "../../../../protocol/failure.ts";

/** Reading what a forwarder's API answers: nothing in it is believed before it was looked at. */

export type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const objectOr = (value: unknown): JsonObject => (isObject(value) ? value : {});
export const objectsIn = (value: unknown): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
export const numberIn = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
export const booleanIn = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);

/** Throws Failure STREAM_PROTOCOL where it is no JSON object. */
export function jsonObject(text: string, api: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // what follows says so
  }
  throw new Failure("STREAM_PROTOCOL", `what answers is not the API of ${api}: no JSON object`, { facts: { api } });
}
