import { expect, test } from "vitest";
import { askDatagram } from "../../platform/datagram.ts";

test("an address that the kernel lets nobody send to is a failed question, and nothing worse", async () => {
  // to broadcast without having said so is EACCES, as a cut uplink is ENETUNREACH: connect() itself fails
  const to = { address: "255.255.255.255", port: 9 };
  const asking = askDatagram(to, Buffer.from("x"), () => undefined, new AbortController().signal);
  await expect(asking).rejects.toMatchObject({ code: "EACCES" });
});
