import type { InventoryDocument } from "../../protocol/inventory.ts";
import type { InventoryTx } from "../inventory-store.ts";
import { changesBetween } from "./diff.ts";

export interface HeardInventory {
  device: string;
  /** Kept by the broker from before. */
  retained: boolean;
  receivedAt: number;
  body: InventoryDocument;
}

/** Enters a document; one that is known, or older than the known one and only kept by some broker, changes nothing. Returns the hash that stands. */
export async function enterInventory(tx: InventoryTx, heard: HeardInventory): Promise<string> {
  const { device, retained, receivedAt, body } = heard;
  const before = await tx.get(device);
  // Another broker of the list may keep what the device said long ago. Is it the newer one after all, `info` says so and we ask.
  const stale = before !== undefined && retained && body.ts < before.document.ts;
  if (before !== undefined && (stale || before.document.hash === body.hash)) return before.document.hash;
  await tx.save({ device, receivedAt, document: body }, before, changesBetween(before?.document, body));
  return body.hash;
}
