/** What the store keeps of inventory; see aggregator/inventory. */
export const INVENTORY = ``;
