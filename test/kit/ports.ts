import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** The kernel gives ports above these to whoever asks for any: one of them could be gone before its server has taken it. */
const [FIRST, END] = [10_000, 32_768];
let next = FIRST + 2 * Math.floor((Math.random() * (END - FIRST)) / 2);

/** An even port on loopback that nobody holds now, by TCP or UDP; the one above it, where RTP has its control, is given to nobody. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = next + 2 < END ? next + 2 : FIRST;
    if ((await isFreeTcp(port)) && (await isFreeUdp(port))) return port;
  }
}

const isFreeTcp = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });

const isFreeUdp = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = createSocket("udp4");
    socket.once("error", () => socket.close(() => done(false)));
    socket.bind(port, "127.0.0.1", () => socket.close(() => done(true)));
  });
