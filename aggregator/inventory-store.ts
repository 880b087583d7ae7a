import type { InventoryDocument } from "../protocol/inventory.ts";
import type { Page } from "./store.ts";

/** What is kept of inventories: the latest document of each device, its packages to ask over, and what changed when. */

export interface InventoryRow {
  device: string;
  /** Epoch ms of the aggregator. */
  receivedAt: number;
  document: InventoryDocument;
}

/** One device's inventory without its long lists. */
export interface InventorySummary extends Omit<InventoryRow, "document"> {
  site?: string;
  summary: InventorySummaryDocument;
  /** Version of the package that was asked for. */
  version?: string;
}
export type InventorySummaryDocument = Omit<InventoryDocument, "packages">;

export const CHANGE_KINDS = ["first", "appeared", "vanished", "changed"] as const;
export interface InventoryChange {
  kind: (typeof CHANGE_KINDS)[number];
  /** What of the document: `package`, `disk`, `os` … */
  part: string;
  /** Which one: a package's name, a disk's. */
  item: string;
  was?: string;
  is?: string;
}
export interface InventoryChangeRow extends InventoryChange {
  /** Grows with time over all devices. */
  id: number;
  device: string;
  /** Epoch ms of the aggregator. */
  at: number;
}

export interface InstalledPackage {
  device: string;
  site?: string;
  name: string;
  version: string;
}

export interface InventoryFilter {
  device?: string;
  site?: string;
  /** Only devices of this list. */
  among?: readonly string[];
}
export interface PackageChoice {
  name: string;
  versions: readonly string[];
}

/** The inventories' share of a transaction; see `Tx` for its rules. */
export interface InventoryTx {
  get(device: string): Promise<InventoryRow | undefined>;
  /** Puts the document in place of the one before, of whose packages only those rows change that differ, and notes what changed. */
  save(row: InventoryRow, before: InventoryRow | undefined, changes: readonly InventoryChange[]): Promise<void>;
  /** Forgets changes noted before `before`; at most `limit`. Says how many. */
  forgetChanges(before: number, limit: number): Promise<number>;
}

/** What may be read of inventories; lists are in the order of the device id, changes newest first. */
export interface InventoryReading {
  /** Hash of the stored document by device. */
  hashes(): Promise<ReadonlyMap<string, string>>;
  get(device: string): Promise<InventoryRow | undefined>;
  list(
    filter: InventoryFilter & { package?: PackageChoice | undefined },
    page: Page,
  ): Promise<readonly InventorySummary[]>;
  /** Every version of a package that is installed somewhere, in no order. */
  versions(name: string): Promise<readonly string[]>;
  packages(filter: InventoryFilter & { package: PackageChoice }, page: Page): Promise<readonly InstalledPackage[]>;
  /** `after`: the id of the last change of the page before. */
  changes(device: string, page: Page): Promise<readonly InventoryChangeRow[]>;
}
