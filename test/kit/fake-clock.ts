import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The wall clock of one process, set while it runs; its monotonic clock goes on as ever. */
export interface FakeClock {
  env: Record<string, string>;
  /** Seconds from the machine's own clock. */
  set(seconds: number): void;
}

let clocks = 0;
/** Needs Debian's faketime; what it reads lies in `folder`. */
export function fakeClock(folder: string): FakeClock {
  const libraries = readdirSync("/usr/lib").map((arch) => join("/usr/lib", arch, "faketime/libfaketimeMT.so.1"));
  clocks += 1;
  const file = join(folder, `offset-${clocks}`);
  const set = (seconds: number): void => {
    writeFileSync(`${file}.new`, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}\n`);
    renameSync(`${file}.new`, file); // at once: half of it is another time
  };
  set(0);
  const env = {
    LD_PRELOAD: libraries.find((path) => existsSync(path)) ?? "",
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    FAKETIME_CACHE_DURATION: "1",
  };
  return { env, set };
}
