import type { Machine } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";

/** A disk of the machine, by its kernel name. */
export interface Disk {
  name: string;
  kind: "emmc" | "sd" | "other";
  /** `mmc0` of an eMMC or SD card. */
  host?: string;
}

/** What the kernel tells of a disk. What it does not tell is left out. */
export interface DiskFacts {
  /** Wear of eMMC areas, percent, upper end of the step; 110: exceeded. */
  usedPct?: number;
  /** Reserved blocks of eMMC: 1 normal, 2 80 % used, 3 urgent (EXT_CSD 267). */
  preEol?: number;
  /** When it was made, months since year 0. */
  madeMonth?: number;
  /** Errors so far, of the disk and its bus. */
  errors?: number;
  writtenBytes?: number;
}

const BLOCK = "/sys/block";
/** Made by the kernel or of other disks; RAM; optical; and the small areas of an eMMC. */
const NO_DISK = /^(loop|ram|zram|dm-|md|nbd|sr|fd|mtdblock)\d*|^mmcblk\d+(boot\d+|rpmb)$/;
const MMC = /^mmcblk\d+$/;
const SECTOR_BYTES = 512;

/** Text of a file, undefined where it is not there or not ours to read. */
export function textOf(machine: Machine, path: string): string | undefined {
  try {
    return machine.read(path)?.trim() || undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined; // debugfs is root's alone; a driver may refuse
    throw error;
  }
}

/** The disks the machine has now. Throws MACHINE_READ. */
export function findDisks(machine: Machine): Disk[] {
  return machine
    .list(BLOCK)
    .filter((name) => !NO_DISK.test(name) && hasMedium(machine, name))
    .toSorted()
    .map((name): Disk => {
      if (!MMC.test(name)) return { name, kind: "other" };
      const host = /^(mmc\d+):/.exec(machine.link(`${BLOCK}/${name}/device`)?.split("/").at(-1) ?? "")?.[1];
      const kind = textOf(machine, `${BLOCK}/${name}/device/type`) === "SD" ? "sd" : "emmc";
      return { name, kind, ...(host === undefined ? {} : { host }) };
    });
}

/** An empty card reader has a size of 0. */
const hasMedium = (machine: Machine, name: string): boolean => textOf(machine, `${BLOCK}/${name}/size`) !== "0";

/** Reads what the kernel tells of a disk. */
export function readDisk(machine: Machine, { name, host }: Disk): DiskFacts {
  const of = (file: string): string | undefined => textOf(machine, `${BLOCK}/${name}/${file}`);
  const facts = {
    usedPct: parseLifeTime(of("device/life_time")),
    preEol: parseHex(of("device/pre_eol_info")),
    madeMonth: parseMade(of("device/date")),
    errors: sum(
      parseHex(of("device/ioerr_cnt")),
      host === undefined ? undefined : parseErrStats(textOf(machine, `/sys/kernel/debug/${host}/err_stats`)),
    ),
    writtenBytes: parseWritten(of("stat")),
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

const sum = (...all: (number | undefined)[]): number | undefined =>
  all.reduce<number | undefined>((total, one) => (one === undefined ? total : (total ?? 0) + one), undefined);

/** `0x02`, undefined when it is no hexadecimal number. */
export function parseHex(text: string | undefined): number | undefined {
  return text !== undefined && /^0x[0-9a-f]{1,12}$/i.test(text) ? Number.parseInt(text, 16) : undefined;
}

const EXCEEDED = 0x0b;
/** `0x01 0x03`, areas of type A and B in steps of 10 %: the worse of them. 0: not told. Undefined where neither is. */
export function parseLifeTime(text: string | undefined): number | undefined {
  const steps = (text ?? "")
    .split(/\s+/)
    .map(parseHex)
    .filter((step) => step !== undefined && step >= 1 && step <= EXCEEDED);
  return steps.length === 0 ? undefined : Math.max(...steps.map((step) => (step ?? 0) * 10));
}

/** `11/2019` as months since year 0; before the first eMMC (2007) it was never set. */
export function parseMade(text: string | undefined): number | undefined {
  const [, month, year] = /^(\d{2})\/(\d{4})$/.exec(text ?? "") ?? [];
  const made = Number(year) * 12 + Number(month) - 1;
  return Number(month) >= 1 && Number(month) <= 12 && Number(year) >= 2007 ? made : undefined;
}

/** Errors of a memory card's bus (Linux 6.0 and later): `# Command Timeout Occurred:	 3` a line. */
export function parseErrStats(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const counts = text.split("\n").map((line) => Number(/^#.*:\s+(\d{1,12})$/.exec(line.trim())?.[1] ?? 0));
  return counts.reduce((total, count) => total + count, 0);
}

/** Seventh figure of /sys/block/NAME/stat: sectors of 512 bytes written since boot, whatever the disk's own are. */
export function parseWritten(text: string | undefined): number | undefined {
  const sectors = Number((text ?? "").trim().split(/\s+/)[6] ?? Number.NaN);
  return Number.isSafeInteger(sectors) && sectors >= 0 ? sectors * SECTOR_BYTES : undefined;
}

/** What an ext4 file system has noted of itself, kept over reboots until it is repaired. */
export interface FsErrors {
  name: string;
  errors: number;
  /** Epoch seconds of the last one. */
  lastS?: number;
}

const EXT4 = "/sys/fs/ext4";

/** Every mounted ext4 file system. Throws MACHINE_READ. */
export function readExt4(machine: Machine): FsErrors[] {
  return machine.list(EXT4).flatMap((name): FsErrors[] => {
    const errors = Number(textOf(machine, `${EXT4}/${name}/errors_count`) ?? Number.NaN);
    const lastS = Number(textOf(machine, `${EXT4}/${name}/last_error_time`) ?? 0);
    return Number.isSafeInteger(errors) ? [{ name, errors, ...(lastS > 0 ? { lastS } : {}) }] : [];
  });
}
