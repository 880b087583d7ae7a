/**
 * What the history's own file keeps. `recent`: samples as they come, by `bucket` (series modulo BUCKETS): what comes within
 * some seconds goes to few pages, and what a series told in an hour is found together. Once their hour is over they move to `raw`, the samples of
 * one series and hour, and into `day`, the hourly values of one series and day. All three lie in the order of time: working
 * out and deleting go through neighbouring pages. `at` is the hour or day and the series in one number (placeOf): the key
 * of a plain table, whose rows may fill a page. `tally` counts rows.
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
  CREATE TABLE raw (at INTEGER PRIMARY KEY, samples BLOB NOT NULL) STRICT;
  CREATE TABLE day (at INTEGER PRIMARY KEY, sealed INTEGER NOT NULL, hours BLOB NOT NULL) STRICT;
  CREATE INDEX day_open ON day (at) WHERE sealed = 0;
  CREATE TABLE tally (kind TEXT PRIMARY KEY, rows INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO tally VALUES ('series', 0), ('recent', 0), ('raw', 0), ('day', 0);
  CREATE TABLE finding (
    device TEXT NOT NULL, code TEXT NOT NULL, figure TEXT NOT NULL, finding TEXT NOT NULL,
    PRIMARY KEY (device, code, figure)
  ) STRICT, WITHOUT ROWID;
  `,
];
/** Key of the row of a series at an hour or a day. */
export const placeOf = (time: number, series: number): number => time * 2 ** 32 + series;
export const timeOf = (place: number): number => Math.floor(place / 2 ** 32);
/** Places at which samples are added; never changed for a file that exists. */
export const BUCKETS = 256;
