/**
 * What the store keeps of daily checks; see aggregator/daily-store.ts. Three families in three tables: configuration and
 * performance data go after their years, fault data never. Documents are JSON, compressed, and stand last in their rows:
 * a sheet reads none of them.
 */
export const DAILY = `
  CREATE TABLE daily_since (device TEXT PRIMARY KEY REFERENCES device(id), date TEXT NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO daily_since (device, date) SELECT id, date('now', '+2 day') FROM device;
  CREATE TABLE daily_fault (
    device TEXT NOT NULL REFERENCES device(id), date TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL,
    ts INTEGER NOT NULL, received_at INTEGER NOT NULL, critical_count INTEGER NOT NULL, major_count INTEGER NOT NULL,
    minor_count INTEGER NOT NULL, warning_count INTEGER NOT NULL, unknown_count INTEGER NOT NULL,
    ok_count INTEGER NOT NULL, absent_count INTEGER NOT NULL, disabled_count INTEGER NOT NULL, cut_count INTEGER NOT NULL,
    alarms INTEGER NOT NULL, tickets INTEGER NOT NULL, again INTEGER NOT NULL, document BLOB NOT NULL,
    PRIMARY KEY (device, date)
  ) STRICT;
  CREATE INDEX daily_fault_date ON daily_fault (date);
  CREATE TABLE daily_config (
    device TEXT NOT NULL REFERENCES device(id), date TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (device, date)
  ) STRICT;
  CREATE INDEX daily_config_date ON daily_config (date);
  CREATE TABLE daily_performance (
    device TEXT NOT NULL REFERENCES device(id), date TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (device, date)
  ) STRICT;
  CREATE INDEX daily_performance_date ON daily_performance (date);
`;
