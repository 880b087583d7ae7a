/** What the store keeps of history; see aggregator/history. */
export const HISTORY = ``;
