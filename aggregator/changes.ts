import type { AlarmRow, DeviceRow, TicketEvent, TicketRow } from "./store.ts";

/** Something the desk wants to see now, told after its commit. `at`: epoch ms of the aggregator. */
export type Change = { at: number } & (
  | { kind: "alarm"; row: AlarmRow; was?: Pick<AlarmRow, "active" | "severity"> }
  | { kind: "ticket"; row: TicketRow; event: TicketEvent }
  | { kind: "device"; row: DeviceRow }
);

export interface Changes {
  /** Calls `listener` with every change from now on; the function returned ends it. A listener must not throw or wait. */
  subscribe(listener: (change: Change) => void): () => void;
}

/** A feed: `tell` reaches every subscriber at once and in order. */
export function openChanges(): Changes & { tell(change: Change): void } {
  const listeners = new Set<(change: Change) => void>();
  return {
    subscribe(listener) {
      const own = (change: Change) => listener(change); // two subscriptions of one function are two
      listeners.add(own);
      return () => listeners.delete(own);
    },
    tell: (change) => {
      for (const listener of listeners) listener(change);
    },
  };
}
