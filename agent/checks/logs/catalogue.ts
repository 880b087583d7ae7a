import type { Severity } from "../../../protocol/severity.ts";
import type { Title } from "../check.ts";

/** What is looked for, and when it is an alarm. */
export interface Pattern {
  /** Subject and reason of its alarm. */
  id: string;
  title: Title;
  severity: Severity;
  /** Every match contains one of them: by these alone the text is searched, only lines that have one are looked at. */
  literals: readonly string[];
  /** Looked for in lines that have a literal; without it the literal is all. */
  regex?: string;
  /** Raised at so many lines … */
  count: number;
  /** … within so long, */
  windowMs: number;
  /** cleared when there was none for so long. */
  quietMs: number;
  /** Whose lines: the kernel's own, those of the machine's programs, or any that are followed. */
  from: "kernel" | "system" | "any";
}

const MINUTE = 60_000;
const HOUR = 3_600_000;

type Limits = Pick<Pattern, "count" | "windowMs" | "quietMs">;
const once = (quietMs: number): Limits => ({ count: 1, windowMs: 10 * MINUTE, quietMs });
const many = (count: number, windowMs: number, quietMs = 30 * MINUTE): Limits => ({ count, windowMs, quietMs });

const kernel = (
  id: string,
  severity: Severity,
  zh: string,
  en: string,
  limits: Limits,
  literals: readonly string[],
  regex?: string,
): Pattern => ({
  ...{ id, severity, title: { zh, en }, literals, from: "kernel", ...limits },
  ...(regex === undefined ? {} : { regex }),
});
const program = (...words: Parameters<typeof kernel>): Pattern => ({ ...kernel(...words), from: "system" });

/** What the kernel and the programs of a device say when something breaks, with thresholds for a device in the field. */
export const CATALOGUE: readonly Pattern[] = [
  kernel("fs-error", "major", "文件系统错误", "File system errors", once(6 * HOUR), [
    ...["EXT4-fs error", "JBD2: Detected IO errors", "BTRFS error", "BTRFS critical"],
    ...[
      "BTRFS: error",
      "Corruption detected",
      "Metadata corruption",
      "): log I/O error",
      "UBIFS error",
      "SQUASHFS error",
    ],
  ]),
  kernel(
    "fs-error-fat",
    "minor",
    "存储卡或 U 盘文件系统错误",
    "FAT file system errors",
    once(HOUR),
    ["FAT-fs ("],
    "FAT-fs \\(.*: error",
  ),
  kernel(
    "fs-error-f2fs",
    "major",
    "F2FS 文件系统错误",
    "F2FS file system errors",
    once(6 * HOUR),
    ["F2FS-fs ("],
    "F2FS-fs \\(.*([Cc]orrupt|[Ii]nconsisten|[Mm]ismatch|invalid crc)",
  ),
  kernel("fs-readonly", "critical", "文件系统被置为只读", "File system made read-only", once(6 * HOUR), [
    ...["emounting filesystem read-only", "forced readonly", "has been set read-only"],
    ...["Aborting journal on device", "Filesystem has been shut down", "Shutting down filesystem"],
  ]),
  kernel("fs-unclean", "warning", "文件系统未正常卸载", "File system was not unmounted properly", once(HOUR), [
    ...["was not properly unmounted", "mounting unchecked fs", "recovery required on readonly"],
  ]),
  kernel(
    "io-error",
    "major",
    "存储读写错误",
    "Storage I/O errors",
    once(6 * HOUR),
    [
      ...[
        "I/O error, dev ",
        "Buffer I/O error on dev",
        "critical medium error",
        "Unrecovered read error",
        "Medium Error",
        "exception Emask 0x",
      ],
      "controller is down; will reset",
    ],
    "I/O error, dev (s[a-qs-z]|[a-eg-rt-z])|Buffer I/O error on dev(ice)? (s[a-qs-z]|[a-eg-rt-z])|critical medium error|Unrecovered read error|Medium Error|exception Emask 0x|controller is down; will reset",
  ),
  kernel(
    "mmc-error",
    "major",
    "eMMC 或 SD 卡通信错误",
    "eMMC or SD card errors",
    many(3, 10 * MINUTE, HOUR),
    ["mmc"],
    "mmc\\d: (Timeout waiting|error -\\d|[Cc]ard stuck|[Cc]ard never left|cache flush error|tuning execution failed|Got data interrupt|Controller never released|running CQE recovery|cqhci: timeout)|mmcblk\\d: (error -|timed out|recovery failed|response CRC error|unable to)",
  ),
  kernel(
    "nand-error",
    "major",
    "NAND 闪存错误",
    "NAND flash errors",
    many(3, HOUR, 6 * HOUR),
    ["uncorrectable E", "uncorrectable e", "new bad block", "ubi0 error", "UBI error"],
    "uncorrectable (ECC )?error|new bad block|ubi0 error|UBI error",
  ),
  kernel(
    "memory-hardware",
    "minor",
    "内存或总线硬件错误",
    "Memory or bus hardware errors",
    many(3, HOUR, 6 * HOUR),
    ["[Hardware Error]", "EDAC MC"],
    "\\[Hardware Error\\]|EDAC MC\\d: \\d+ [CU]E",
  ),
  kernel(
    "oom",
    "major",
    "内存耗尽，进程被内核终止",
    "Out of memory: the kernel killed a process",
    once(HOUR),
    ["Killed process"],
    "Killed process \\d+",
  ),
  kernel("segfault", "minor", "进程崩溃（非法内存访问）", "A process crashed", once(HOUR), [
    "segfault at ",
    "general protection fault",
    "unhandled level ",
    "unhandled page fault",
  ]),
  kernel("kernel-fault", "critical", "内核故障", "Kernel fault", once(6 * HOUR), [
    ...[
      "Kernel panic",
      "Oops: ",
      "Oops - ",
      "kernel BUG at",
      "BUG: unable to handle",
      "Unable to handle kernel",
      "BUG: Bad page",
    ],
  ]),
  kernel(
    "lockup",
    "critical",
    "处理器死锁或停滞",
    "A processor is stuck",
    once(HOUR),
    ["soft lockup", "hard LOCKUP", "INFO: rcu"],
    "soft lockup|hard LOCKUP|INFO: rcu\\w{1,20} (self-)?detected",
  ),
  kernel(
    "hung-task",
    "major",
    "任务长时间无响应",
    "A task hangs in the kernel",
    once(HOUR),
    ["blocked for more than"],
    "blocked for more than \\d+ seconds",
  ),
  kernel("watchdog", "major", "看门狗或网卡发送超时", "A watchdog or a network card timed out", once(HOUR), [
    "atchdog timeout",
    "NETDEV WATCHDOG",
  ]),
  kernel(
    "usb-reset",
    "warning",
    "USB 设备反复复位",
    "A USB device is reset again and again",
    many(3, 10 * MINUTE),
    [": reset "],
    ": reset (high|full|low|super|Super)[^ ]{1,14} USB device",
  ),
  kernel(
    "usb-disconnect",
    "warning",
    "USB 设备反复断开",
    "A USB device disconnects again and again",
    many(3, 10 * MINUTE),
    ["USB disconnect"],
  ),
  kernel("usb-error", "minor", "USB 设备故障", "A USB device does not answer", many(3, 10 * MINUTE), [
    ...[
      "read/64, error",
      "read/8, error",
      "read/all, error",
      "device not accepting address",
      "unable to enumerate USB",
      "over-current condition",
    ],
  ]),
  kernel("under-voltage", "major", "供电电压过低", "Supply voltage too low", once(30 * MINUTE), [
    "Under-voltage detected",
    "Undervoltage detected",
  ]),
  kernel("thermal", "major", "温度过高，处理器降频", "Too hot: the processor is slowed down", once(30 * MINUTE), [
    ...["temperature above threshold", "critical temperature reached"],
  ]),
  kernel("link-flap", "warning", "网口反复断开", "A network link goes down again and again", many(3, 10 * MINUTE), [
    "Link is Down",
  ]),
  program("auth-failed", "warning", "登录认证多次失败", "Many failed logins", many(10, 10 * MINUTE), [
    ...[
      "Failed password for",
      "authentication failure",
      "Bad password attempt",
      "FAILED LOGIN",
      "FAILED SU",
      "FAILED su",
      "Invalid user ",
    ],
    ...["incorrect password attempt"],
  ]),
  program("sudo-denied", "warning", "越权使用 sudo", "sudo refused to somebody", once(30 * MINUTE), ["NOT in sudoers"]),
  program("unit-failed", "minor", "系统服务反复失败", "A service fails again and again", many(3, 10 * MINUTE), [
    "Failed with result '",
    "Start request repeated too quickly",
  ]),
  program("cert-expired", "minor", "证书已过期", "A certificate has expired", many(3, HOUR, 2 * HOUR), [
    "certificate has expired",
  ]),
];
