import type { InventoryDocument } from "../../protocol/inventory.ts";
import { tidy } from "../inventory.ts";
import { known, type Look } from "./look.ts";

type Parts<K extends keyof InventoryDocument> = Extract<InventoryDocument[K], readonly unknown[]>;

/** Video devices: capture cards and cameras as V4L2 names them. One card may have several. */
export const readCameras = (look: Look): Parts<"cameras"> =>
  look.names("/sys/class/video4linux").map((name) => {
    const at = `/sys/class/video4linux/${name}`;
    return known({
      name,
      card: look.text(`${at}/name`),
      driver: look.linked(`${at}/device/driver`),
      bus: look.linked(`${at}/device`),
    });
  });

/** Sound cards of /proc/asound/cards: ` 0 [PCH   ]: HDA-Intel - HDA Intel PCH`, each with a line of detail below it. */
export const parseSound = (cards: string): Parts<"sound"> =>
  cards.split("\n").flatMap((line) => {
    const [, index, id, driver, card] = /^ *(\d{1,4}) \[([^\]]*)\]: (.+?) - (.*)$/.exec(line) ?? [];
    return index === undefined
      ? []
      : [known({ name: `card${index}`, id: tidy(id), driver: tidy(driver), card: tidy(card) })];
  });

/** What is plugged into USB: devices and hubs by the port they are at, without the roots and without interfaces. */
export const readUsb = (look: Look): Parts<"usb"> =>
  look.names("/sys/bus/usb/devices").flatMap((port) => {
    const at = `/sys/bus/usb/devices/${port}`;
    const [vendorId, productId] = [look.text(`${at}/idVendor`, 8), look.text(`${at}/idProduct`, 8)];
    if (!/^\d+-[\d.]+$/.test(port) || vendorId === undefined || productId === undefined) return [];
    const speed = Number(look.text(`${at}/speed`, 20) ?? Number.NaN);
    return [
      known({
        port,
        vendor_id: vendorId,
        product_id: productId,
        vendor: look.text(`${at}/manufacturer`),
        product: look.text(`${at}/product`),
        serial: look.text(`${at}/serial`),
        speed_mbps: speed >= 0 ? speed : undefined,
      }),
    ];
  });

const SERIAL_PORT = /^tty(S|USB|ACM|AMA|AS|FIQ|HS|LP|MSM|O|PS|S[A-Z]+|THS|XR|mxc|sclp)\d+$/;
/** PORT_UNKNOWN: the driver keeps a number for it, and nothing is there. */
const NO_UART = 0;

export const readSerialPorts = (look: Look): Parts<"serial_ports"> =>
  look.names("/sys/class/tty").flatMap((name) => {
    const at = `/sys/class/tty/${name}`;
    const bus = look.linked(`${at}/device`);
    if (!SERIAL_PORT.test(name) || bus === undefined || look.whole(`${at}/type`) === NO_UART) return [];
    return [known({ name, driver: look.linked(`${at}/device/driver`), bus })];
  });

/** GPIO chips: by sysfs' old class, which knows label and lines, else by the bus, where the label is who they belong to. */
export function readGpioChips(look: Look): Parts<"gpio_chips"> {
  const chips = look.names("/sys/class/gpio").filter((name) => /^gpiochip\d+$/.test(name));
  if (chips.length > 0)
    return chips.map((name) => {
      const at = `/sys/class/gpio/${name}`;
      return known({ name, label: look.text(`${at}/label`), lines: look.whole(`${at}/ngpio`) });
    });
  return look
    .names("/sys/bus/gpio/devices")
    .map((name) => known({ name, label: tidy(look.link(`/sys/bus/gpio/devices/${name}`)?.split("/").at(-2)) }));
}
