/**
 * What the history's own file keeps. `recent`: samples as they come, by `bucket` (series modulo BUCKETS): what comes within
 * some seconds goes to few pages, and what a series told in an hour is found together. Once their hour is over they move to `raw`, the samples of
 * one series and hour, and into `day`, the hourly values of one series and day. All three lie in the order of time: working
 * out and deleting go through neighbouring pages. `tally` counts rows.
 */
export const HISTORY_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, code TEXT NOT NULL, figures TEXT NOT NULL, last_day INTEGER NOT NULL,
    UNIQUE (device, code)
  ) STRICT;
  CREATE INDEX series_age ON series (last_day);
  CREATE TABLE recent (
    hour INTEGER NOT NULL, bucket INTEGER NOT NULL, seq INTEGER NOT NULL, series INTEGER NOT NULL, sample BLOB NOT NULL,
    PRIMARY KEY (hour, bucket, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE raw (
    hour INTEGER NOT NULL, series INTEGER NOT NULL, samples BLOB NOT NULL, PRIMARY KEY (hour, series)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE day (
    day INTEGER NOT NULL, series INTEGER NOT NULL, sealed INTEGER NOT NULL, hours BLOB NOT NULL,
    PRIMARY KEY (day, series)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX day_open ON day (day) WHERE sealed = 0;
  CREATE TABLE tally (kind TEXT PRIMARY KEY, rows INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO tally VALUES ('series', 0), ('recent', 0), ('raw', 0), ('day', 0);
  CREATE TABLE finding (
    device TEXT NOT NULL, code TEXT NOT NULL, figure TEXT NOT NULL, finding TEXT NOT NULL,
    PRIMARY KEY (device, code, figure)
  ) STRICT, WITHOUT ROWID;
  `,
];
/** Places at which samples are added; never changed for a file that exists. */
export const BUCKETS = 256;
