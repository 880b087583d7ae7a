/** What the store keeps of daily; see aggregator/daily. */
export const DAILY = ``;
