import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Board } from "./board.ts";

/** Puts onto a captured board what hangs on an encoder in the field, as the kernel (6.1, rk3588) shows it. */
export function plugIn(board: Board): void {
  const { write } = board;
  const link = (path: string, target: string): void => {
    const place = board.machine.at(path);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(target, place);
  };

  // An HDMI receiver of the chip, and a camera on USB with its two nodes.
  write("/sys/class/video4linux/video0/name", "stream_hdmirx\n");
  link("/sys/class/video4linux/video0/device", "../../../fdee0000.hdmirx-controller");
  for (const [node, name] of [
    ["video10", "Zhang San's HD Webcam: HD Webcam"],
    ["video2", "HD Webcam C270"],
  ] as const) {
    write(`/sys/class/video4linux/${node}/name`, `${name}\n`);
    link(`/sys/class/video4linux/${node}/device`, "../../../8-1.2:1.0");
  }

  write(
    "/proc/asound/cards",
    [
      " 0 [rockchiphdmi0  ]: rockchip-hdmi0 - rockchip-hdmi0",
      "                      rockchip-hdmi0",
      " 1 [C270           ]: USB-Audio - HD Webcam C270",
      "                      HD Webcam C270 at usb-xhci-hcd.9.auto-1.2, high speed",
      "",
    ].join("\n"),
  );

  const usb = (port: string, facts: Record<string, string>): void => {
    for (const [name, value] of Object.entries(facts)) write(`/sys/bus/usb/devices/${port}/${name}`, `${value}\n`);
  };
  usb("usb8", { idVendor: "1d6b", idProduct: "0003", manufacturer: "Linux", product: "xHCI Host Controller" });
  usb("8-1", { idVendor: "05e3", idProduct: "0620", product: "USB3.1 Hub", speed: "5000" });
  usb("8-1.2", { idVendor: "046d", idProduct: "0825", product: "Webcam C270", serial: "2D6B1A30", speed: "480" });
  usb("8-1.10", { idVendor: "2c7c", idProduct: "0125", manufacturer: "Quectel", product: "EC25", speed: "480" });
  usb("8-1.3", { idVendor: "1a86", idProduct: "7523", product: "USB2.0-Ser!", speed: "12" });
  usb("8-1.2:1.0", { bInterfaceClass: "0e" });

  // A real UART, one the driver only keeps a number for, a converter on USB, and a console that is none.
  write("/sys/class/tty/ttyS0/type", "4\n");
  link("/sys/class/tty/ttyS0/device", "../../../feb50000.serial");
  write("/sys/class/tty/ttyS3/type", "0\n");
  link("/sys/class/tty/ttyS3/device", "../../../serial8250");
  write("/sys/class/tty/ttyUSB0/dev", "188:0\n");
  link("/sys/class/tty/ttyUSB0/device", "../../../ttyUSB0");
  write("/sys/class/tty/tty1/dev", "4:1\n");

  write("/sys/class/gpio/gpiochip0/label", "gpio0\n");
  write("/sys/class/gpio/gpiochip0/ngpio", "32\n");
  write("/sys/class/gpio/export", "");

  // An eMMC with its boot areas, a disk on USB, a loop device.
  const disk = (
    name: string,
    device: string,
    facts: Record<string, string>,
    own: Record<string, string> = {},
  ): void => {
    const real = `/sys/devices/${device}/block/${name}`;
    for (const [file, value] of Object.entries(facts)) write(`${real}/${file}`, `${value}\n`);
    for (const [file, value] of Object.entries(own)) write(`/sys/devices/${device}/${file}`, `${value}\n`);
    if (!device.startsWith("virtual")) link(`${real}/device`, `../../../${device.split("/").at(-1)}`);
    link(`/sys/block/${name}`, `../devices/${device}/block/${name}`);
  };
  const mmc = "platform/fe2e0000.mmc/mmc_host/mmc0/mmc0:0001";
  disk(
    "mmcblk0",
    mmc,
    { size: "61071360", dev: "179:0", "queue/rotational": "0" },
    { name: "BJTD4R", serial: "0x1a2b3c4d", type: "MMC", fwrev: "0x0600000000000000" },
  );
  disk("mmcblk0boot0", mmc, { size: "8192" });
  disk(
    "sda",
    "platform/fc400000.usb/usb8/8-1/8-1.4/host0/target0:0:0/0:0:0:0",
    { size: "976773168", dev: "8:0", "queue/rotational": "1" },
    { model: "ST500LM021-1KJ15" },
  );
  write("/run/udev/data/b8:0", "S:disk/by-id/ata-ST500\nE:ID_SERIAL_SHORT=W62A1B2C\nE:ID_REVISION=0003\n");
  disk("loop0", "virtual", { size: "100" });

  const net = (name: string, facts: Record<string, string>, device?: string): void => {
    for (const [file, value] of Object.entries(facts)) write(`/sys/class/net/${name}/${file}`, `${value}\n`);
    if (device !== undefined) link(`/sys/class/net/${name}/device`, device);
  };
  net("eth0", { address: "c8:47:8c:00:00:42", speed: "1000", duplex: "full" }, "../../../fe1c0000.ethernet");
  net("eth1", { address: "c8:47:8c:00:00:43", speed: "-1", duplex: "unknown" }, "../../../fe1b0000.ethernet");
  net("br0", { address: "c8:47:8c:00:00:42", "bridge/bridge_id": "8000.c8478c000042" });
  net("veth1a2b", { address: "02:42:ac:11:00:02" });
  net("lo", { address: "00:00:00:00:00:00" });
  write(
    "/proc/net/if_inet6",
    "20010db8000000000000000000000042 02 40 00 80     eth0\n20010db80000000011112222333344aa 02 40 00 01     eth0\n",
  );
}

/** Addresses of that board as Node tells them. */
export const ADDRESSES = {
  eth0: [
    address("192.0.2.42", "192.0.2.42/24", "IPv4"),
    address("2001:db8::42", "2001:db8::42/64", "IPv6"),
    address("2001:db8::1111:2222:3333:44aa", "2001:db8::1111:2222:3333:44aa/64", "IPv6"),
    address("fe80::1", "fe80::1/64", "IPv6"),
  ],
};

function address(ip: string, cidr: string, family: "IPv4" | "IPv6") {
  const base = { address: ip, cidr, netmask: "", mac: "c8:47:8c:00:00:42", internal: false };
  return family === "IPv4" ? { ...base, family } : { ...base, family, scopeid: 0 };
}
