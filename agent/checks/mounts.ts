/** One line of /proc/self/mountinfo. */
export interface Mount {
  id: number;
  /** `major:minor` of the file system: the same for all bind mounts of one. */
  device: string;
  /** Which folder of the file system is mounted: `/` for all of it. */
  root: string;
  point: string;
  type: string;
  /** The mount itself is read-only (a sandbox, a bind mount): says nothing of the file system. */
  sealed: boolean;
  /** The file system takes no writes. */
  readonly: boolean;
  /** ext4 of Linux 6.15 and later: shut for writing because of an error, while its flags still say `rw`. */
  emergency: boolean;
  /** Lower folders of an overlay. */
  lower: readonly string[];
}

/** How a mount's room is asked for: `local` and `ram` cannot hang. */
export type Reach = "local" | "ram" | "remote";

/** A mount worth judging. */
export interface Volume {
  mount: Mount;
  reach: Reach;
  /** Mount point as people read it, at most 200 characters, no control characters. */
  subject: string;
  /** The agent's own state lies on it. */
  holdsState: boolean;
  /** Below an overlay: read-only by design. */
  isLower: boolean;
  /** Where a write may be tried, undefined where it must not. */
  probeIn: string | undefined;
}

const names = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean));

const LOCAL = names(
  "ext2 ext3 ext4 xfs btrfs f2fs vfat msdos exfat ntfs ntfs3 ubifs jffs2 yaffs yaffs2 zfs bcachefs nilfs2 reiserfs jfs",
);
/** No room of its own, or none that could run out: the kernel's windows, and images made full. */
const ROOMLESS = names(`proc sysfs devtmpfs devpts cgroup cgroup2 cpuset securityfs debugfs tracefs configfs pstore
  efivarfs bpf fusectl mqueue hugetlbfs binfmt_misc autofs rpc_pipefs nfsd nsfs ramfs rootfs selinuxfs smackfs
  functionfs usbfs resctrl pipefs sockfs dax aio secretmem anon_inodefs oprofilefs usbdevfs
  squashfs cramfs romfs erofs iso9660 udf
  fuse.lxcfs fuse.gvfsd-fuse fuse.portal fuse.snapfuse fuse.squashfuse`);
const NO_VOLUMES = ["/proc/", "/sys/", "/dev/", "/etc/"]; // what is mounted below these are single files and windows
const OTHERS_TMPFS = /^\/var\/lib\/(docker|containers|containerd|kubelet|lxc|lxcfs)\//;

/** Reads mountinfo (proc_pid_mountinfo(5)); a line that is cut or not of that form is left out. */
export function parseMountInfo(text: string): Mount[] {
  return text.split("\n").flatMap((line) => {
    const [head = "", tail] = splitOnce(line, " - ");
    const [id, , device, root, point, flags] = head.split(" ");
    const [type, , superFlags] = tail?.split(" ") ?? [];
    if (!/^\d{1,15}$/.test(id ?? "") || !/^\d+:\d+$/.test(device ?? "")) return [];
    if (device === undefined || root === undefined || flags === undefined || superFlags === undefined) return [];
    if (point === undefined || !point.startsWith("/") || type === undefined || type === "") return [];
    const options = superFlags.split(",");
    const lower = options.find((option) => option.startsWith("lowerdir="))?.slice("lowerdir=".length) ?? "";
    return {
      id: Number(id),
      device,
      root: unescapeOctal(root),
      point: unescapeOctal(point),
      type,
      sealed: flags.split(",").includes("ro"),
      readonly: options.includes("ro"),
      emergency: options.includes("emergency_ro"),
      lower: type === "overlay" ? lower.split(":").map(unescapeOctal).filter(Boolean) : [],
    };
  });
}

function splitOnce(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + by.length)];
}

/** The kernel writes space, tab, newline and backslash of a path as three octal digits; so does fstab(5). */
export const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** What fstab(5) says of each mount point; `noauto` lines say nothing, they are for others to decide. */
export function parseFstab(text: string): ReadonlyMap<string, "ro" | "rw"> {
  const said = new Map<string, "ro" | "rw">();
  for (const line of text.split("\n")) {
    const [source = "", point, type, options] = line.trim().split(/\s+/);
    if (source === "" || source.startsWith("#") || !point?.startsWith("/") || type === "swap") continue;
    const flags = options?.split(",") ?? [];
    if (!flags.includes("noauto")) said.set(unescapeOctal(point), flags.includes("ro") ? "ro" : "rw");
  }
  return said;
}

/** The mounts worth judging, each file system once, by mount point. `ignore` takes mount points, and `/media/*` for all below. */
export function chooseVolumes(
  mounts: readonly Mount[],
  { ignore = [], stateDir }: { ignore?: readonly string[]; stateDir?: string | undefined } = {},
): Volume[] {
  const visible = [...new Map(mounts.map((mount) => [mount.point, mount])).values()]; // a later mount hides an earlier one
  const state = stateDir === undefined ? undefined : mountOf(visible, stateDir);
  const lowers = new Set(visible.flatMap(({ lower }) => lower));
  const chosen = new Map<string, Volume>();
  for (const mount of visible) {
    const reach = reachOf(mount);
    if (reach === undefined || isIgnored(mount.point, ignore)) continue;
    const other = chosen.get(mount.device)?.mount;
    if (other !== undefined && !isBetter(mount, other)) continue;
    chosen.set(mount.device, {
      mount,
      reach,
      subject: printable(mount.point),
      holdsState: state?.device === mount.device,
      isLower: lowers.has(mount.point),
      probeIn: reach === "local" ? probeFolder(mount, state, stateDir) : undefined,
    });
  }
  return [...chosen.values()].toSorted((a, b) => (a.mount.point < b.mount.point ? -1 : 1));
}

/** Whether `path` lies on a file system that may hang for ever: another machine's, or a program's. */
export function mayHang(mounts: readonly Mount[], path: string): boolean {
  const visible = [...new Map(mounts.map((mount) => [mount.point, mount])).values()];
  const mount = mountOf(visible, path);
  return mount !== undefined && reachOf(mount) === "remote";
}

/** The mount that `path` lies on. */
function mountOf(visible: readonly Mount[], path: string): Mount | undefined {
  return visible
    .filter(({ point }) => path === point || path.startsWith(point === "/" ? "/" : `${point}/`))
    .toSorted((a, b) => b.point.length - a.point.length)[0];
}

function reachOf({ type, point }: Mount): Reach | undefined {
  if (ROOMLESS.has(type) || NO_VOLUMES.some((folder) => point.startsWith(folder))) return undefined;
  if (LOCAL.has(type)) return "local";
  if (type === "overlay" || type === "aufs") return point === "/" ? "local" : undefined; // elsewhere a container's
  if (type === "tmpfs") {
    const ours = point === "/" || point === "/tmp" || point === "/run" || point.startsWith("/var/");
    return ours && !OTHERS_TMPFS.test(point) ? "ram" : undefined;
  }
  return "remote";
}

const isIgnored = (point: string, ignore: readonly string[]): boolean =>
  ignore.some((word) => (word.endsWith("/*") ? point.startsWith(word.slice(0, -1)) : word === point));

/** Of two mounts of one file system: the one of its whole, else the shorter name. */
function isBetter(one: Mount, other: Mount): boolean {
  if ((one.root === "/") !== (other.root === "/")) return one.root === "/";
  return one.point.length < other.point.length;
}

/** A boot partition is never written: a FAT folder is not safe against a power cut in the middle of it. */
function probeFolder(mount: Mount, state: Mount | undefined, stateDir: string | undefined): string | undefined {
  if (/^\/(boot|efi)(\/|$)/.test(mount.point)) return undefined;
  if (state?.device === mount.device) return state.sealed ? undefined : stateDir;
  return mount.sealed ? undefined : mount.point;
}

function printable(point: string): string {
  const plain = point.replace(/\p{C}/gu, "?");
  return plain.length <= 200 ? plain : `${plain.slice(0, 99)}…${plain.slice(-100)}`;
}
