import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Inflow } from "./inflow.ts";

/**
 * A connection that is read through `inflow`, for those who want a stream (Node's HTTP): ends, fails and is destroyed with the
 * socket, and the socket with it. What comes is copied, once for each batch; nobody may leave it unread for long.
 */
export function duplexOf(socket: Socket, inflow: Inflow): Duplex {
  const duplex = new Duplex({
    read() {},
    write: (chunk, _encoding, done) => void socket.write(chunk, done),
    final(done) {
      socket.end();
      done();
    },
    destroy(cause, done) {
      socket.destroy();
      done(cause);
    },
  });
  duplex.on("error", () => {}); // it may come when nobody looks
  socket.once("end", () => duplex.push(null));
  socket.once("error", (cause) => duplex.destroy(cause));
  socket.once("close", () => duplex.destroy());
  inflow.hear(socket, (bytes) => {
    duplex.push(Buffer.from(bytes));
  });
  return duplex;
}
