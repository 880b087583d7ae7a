import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Clock } from "../../platform/clock.ts";

/** An NTP server on loopback that has the time by a test's clock. */
export interface TimeServer {
  /** As a config names it. */
  readonly name: string;
  /** So far the clock it is asked about is ahead of it, ms. */
  offMs: number;
  /** It answers nobody's question. */
  mute: boolean;
  /** It asks to be asked less often (a kiss of death, RFC 5905 section 7.4). */
  rate: boolean;
  asked: number;
  close(): void;
}

const EPOCH_S = 2_208_988_800;

export async function timeServer(clock: Pick<Clock, "wall">): Promise<TimeServer> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const name = `127.0.0.1:${socket.address().port}`;
  const server: TimeServer = { name, offMs: 0, mute: false, rate: false, asked: 0, close: () => socket.close() };
  socket.on("message", (query, from) => {
    server.asked += 1;
    if (server.mute) query.fill(0, 40, 48);
    const bytes = Buffer.alloc(48);
    bytes[0] = 0x24;
    bytes[1] = server.rate ? 0 : 2;
    if (server.rate) bytes.write("RATE", 12);
    query.copy(bytes, 24, 40, 48);
    const at = (clock.wall() - server.offMs) / 1_000 + EPOCH_S;
    for (const place of [32, 40]) {
      bytes.writeUInt32BE(Math.floor(at) % 2 ** 32, place);
      bytes.writeUInt32BE(Math.floor((at % 1) * 2 ** 32), place + 4);
    }
    socket.send(bytes, from.port, from.address);
  });
  return server;
}
