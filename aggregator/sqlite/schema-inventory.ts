/**
 * What the store keeps of inventories; see aggregator/inventory-store.ts. Package names and versions are kept once for
 * all devices: a fleet of a thousand has a few thousand of them, not half a million.
 */
export const INVENTORY = `
  CREATE TABLE inventory (
    device TEXT PRIMARY KEY REFERENCES device(id), hash TEXT NOT NULL, received_at INTEGER NOT NULL,
    summary TEXT NOT NULL, packages TEXT NOT NULL
  ) STRICT;
  CREATE TABLE package (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, UNIQUE (name, version)
  ) STRICT;
  CREATE TABLE installed (
    package INTEGER NOT NULL REFERENCES package(id), device TEXT NOT NULL REFERENCES device(id),
    PRIMARY KEY (package, device)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE inventory_change (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL REFERENCES device(id), at INTEGER NOT NULL, kind TEXT NOT NULL,
    part TEXT NOT NULL, item TEXT NOT NULL, was TEXT, is_now TEXT
  ) STRICT;
  CREATE INDEX inventory_change_device ON inventory_change (device, id);
  CREATE INDEX inventory_change_age ON inventory_change (at);
`;
