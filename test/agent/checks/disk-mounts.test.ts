import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseVolumes, parseFstab, parseMountInfo, unescapeOctal } from "../../../agent/checks/mounts.ts";
import { BOARDS, type BoardName, openBoard } from "../../kit/board.ts";

const MOUNT = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";

/** As the kernel writes a path: show_mnt_opts/mangle of fs/proc_namespace.c. */
const escaped = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);

describe("mountinfo", () => {
  test("a line with and without optional fields is read", () => {
    const bare = MOUNT.replace(" master:1", "");
    const many = MOUNT.replace("master:1", "shared:4 master:1 propagate_from:2 unbindable");
    const expected = {
      id: 36,
      device: "98:0",
      root: "/mnt1",
      point: "/mnt2",
      type: "ext3",
      sealed: false,
      readonly: false,
      emergency: false,
      lower: [],
    };
    expect(parseMountInfo([MOUNT, bare, many].join("\n"))).toEqual([expected, expected, expected]);
  });

  test("the flags of the mount and those of the file system are told apart", () => {
    const [sandboxed] = parseMountInfo("36 35 8:1 / /data ro,relatime - ext4 /dev/sda1 rw");
    expect(sandboxed).toMatchObject({ sealed: true, readonly: false });
    const [failed] = parseMountInfo("36 35 8:1 / /data rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro");
    expect(failed).toMatchObject({ sealed: false, readonly: true });
    const [shut] = parseMountInfo("36 35 8:1 / /data rw,relatime - ext4 /dev/sda1 rw,emergency_ro");
    expect(shut).toMatchObject({ readonly: false, emergency: true });
  });

  test("an empty source, as some programs mount with, does not shift the fields", () => {
    expect(parseMountInfo("36 35 0:40 / /x rw - tmpfs  ro,size=4k")[0]).toMatchObject({
      type: "tmpfs",
      readonly: true,
    });
  });

  test("every path the kernel can write comes back, spaces, newlines and backslashes included", () => {
    const path = fc.string({ unit: fc.constantFrom(..."ab/ \t\n\\0-:,é监") });
    fc.assert(
      fc.property(path, (name) => {
        const line = `36 35 8:1 /${escaped(name)} /${escaped(name)} rw shared:1 - ext4 /dev/sda1 rw`;
        expect(parseMountInfo(line)).toMatchObject([{ point: `/${name}`, root: `/${name}` }]);
      }),
    );
  });

  test("hostile text is never a mount that is not there, and never an exception", () => {
    const noise = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[0-9 :/a-z,\\-]{0,80}$/));
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 8 }), (lines) => {
        const mounts = parseMountInfo([...lines, MOUNT].join("\n"));
        expect(mounts.at(-1)).toMatchObject({ point: "/mnt2" });
        for (const { point, id } of mounts) {
          expect(point.startsWith("/")).toBe(true);
          expect(Number.isSafeInteger(id)).toBe(true);
        }
        for (const { subject } of chooseVolumes(mounts)) expect(subject).toMatch(/^\P{C}{1,200}$/u);
      }),
    );
  });

  test("a text cut anywhere, as a file over 1 MiB is, keeps the whole lines before the cut", () => {
    const text = `${MOUNT}\n${MOUNT.replace("/mnt2", "/mnt3")}\n`;
    fc.assert(
      fc.property(fc.nat(text.length), (cut) => {
        const points = parseMountInfo(text.slice(0, cut)).map(({ point }) => point);
        expect(["/mnt2", "/mnt3"].slice(0, points.length)).toEqual(points);
        expect(points.length).toBeGreaterThanOrEqual(cut > MOUNT.length ? 1 : 0);
      }),
    );
  });

  test("a backslash that begins no three octal digits stays what it is", () => {
    expect(unescapeOctal("a\\04b\\999\\")).toBe("a\\04b\\999\\");
  });
});

describe("fstab", () => {
  test("says what is writable; noauto lines, swap and comments say nothing", () => {
    const said = parseFstab(
      [
        "# /dev/a /commented ext4 ro 0 0",
        "UUID=1 / ext4 defaults,noatime 0 1",
        "UUID=2\t/my\\040data\text4\tro,nofail\t0 2",
        "/dev/root /buildroot ext4 rw,noauto 0 1",
        "/swapfile none swap sw 0 0",
        "broken",
        "",
      ].join("\n"),
    );
    expect([...said]).toEqual([
      ["/", "rw"],
      ["/my data", "ro"],
    ]);
  });

  test("any text is read without an exception", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseFstab(text)));
  });
});

const mountsOf = (name: BoardName) => {
  using board = openBoard(name);
  return parseMountInfo(board.machine.read("/proc/self/mountinfo") ?? "");
};
const choose = (...lines: string[]) => chooseVolumes(parseMountInfo(lines.join("\n")));

describe("which mounts are judged", () => {
  const seen = (name: BoardName) =>
    Object.fromEntries(chooseVolumes(mountsOf(name)).map(({ subject, reach }) => [subject, reach]));

  test.each<[BoardName, Record<string, string>]>([
    ["rpi-cm4-debian", { "/": "local", "/boot/firmware": "local", "/mnt/record store": "local", "/run": "ram" }],
    [
      "rk3568-buildroot",
      { "/": "local", "/mnt/sdcard": "local", "/oem": "local", "/run": "ram", "/tmp": "ram", "/userdata": "local" },
    ],
    [
      "rk3588-overlay",
      {
        "/": "local",
        "/media/root-ro": "local",
        "/mnt/archive": "remote",
        "/mnt/nas": "remote",
        "/run": "ram",
        "/tmp": "ram",
        "/userdata": "local",
      },
    ],
    ["x86-vm", { "/": "local" }],
    ["kernel-3.10", { "/": "local", "/config": "local", "/factory": "local", "/tmp": "ram", "/var/log": "ram" }],
  ])("%s", (name, expected) => expect(seen(name)).toEqual(expected));

  test("each file system once: the mount of its whole, by the shortest name", () => {
    const chosen = choose(
      "1 0 8:1 /sub /a rw - ext4 /dev/sda1 rw",
      "2 0 8:1 / /long/name rw - ext4 /dev/sda1 rw",
      "3 0 8:1 / /long rw - ext4 /dev/sda1 rw",
      "4 0 0:30 /@home /home rw - btrfs /dev/sdb rw,subvol=/@home",
      "5 0 0:30 /@ / rw - btrfs /dev/sdb rw,subvol=/@",
    );
    expect(chosen.map(({ subject }) => subject)).toEqual(["/", "/long"]);
  });

  test("a mount over another hides it", () => {
    const chosen = choose("1 0 8:1 / /home rw - ext4 /dev/sda1 rw", "2 1 0:50 / /home ro - proc none ro");
    expect(chosen).toEqual([]);
  });

  test("single files that a container mounts are none, nor what the kernel shows as a file system", () => {
    const chosen = choose(
      "1 0 0:70 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w",
      "2 1 8:1 /docker/containers/9a/hosts /etc/hosts rw - ext4 /dev/sda1 rw",
      "3 1 8:1 /kubelet/term /dev/termination-log rw - ext4 /dev/sda1 rw",
      "4 1 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro",
    );
    expect(chosen.map(({ subject }) => subject)).toEqual(["/"]);
  });

  test("what is unknown may hang, so it is treated as remote", () => {
    const chosen = choose("1 0 0:70 / /x rw - fuse.sshfs a:/ rw", "2 0 0:71 / /y rw - newfs a:/ rw");
    expect(chosen.map(({ reach }) => reach)).toEqual(["remote", "remote"]);
  });

  test("ignored mount points are left out, one by one or all below a folder", () => {
    const lines = ["/media/usb", "/media/usb2", "/data", "/medial"].map(
      (point, i) => `${i} 0 8:${i} / ${point} rw - ext4 /dev/sda rw`,
    );
    const chosen = chooseVolumes(parseMountInfo(lines.join("\n")), { ignore: ["/media/*", "/data"] });
    expect(chosen.map(({ subject }) => subject)).toEqual(["/medial"]);
  });

  test("the disk with the agent's state is known through a bind mount, and is written where its state lies", () => {
    const lines = [
      "1 0 8:1 / / ro - ext4 /dev/sda1 rw",
      "2 1 8:2 / /data ro - ext4 /dev/sda2 rw",
      "3 1 8:2 /vigil /var/lib/vigil rw - ext4 /dev/sda2 rw",
    ].join("\n");
    const chosen = chooseVolumes(parseMountInfo(lines), { stateDir: "/var/lib/vigil" });
    expect(chosen).toMatchObject([
      { subject: "/", holdsState: false, probeIn: undefined },
      { subject: "/data", holdsState: true, probeIn: "/var/lib/vigil" },
    ]);
  });

  test("nothing is written to a boot partition, to memory, to a network or where our own sandbox forbids it", () => {
    for (const name of BOARDS)
      for (const { subject, reach, probeIn } of chooseVolumes(mountsOf(name)))
        expect(probeIn).toBe(
          reach === "local" && !subject.startsWith("/boot") && !/ro$|factory/.test(subject) ? subject : undefined,
        );
  });
});
