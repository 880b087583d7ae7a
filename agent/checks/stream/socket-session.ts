import type { Socket } from "node:net";
import { reasonOf } from "../../../platform/dial.ts";
import type { Inflow } from "../../../platform/inflow.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Session } from "./media.ts";

/** Time for the other side to see our farewell, ms. */
const FAREWELL_MS = 400;

/** What a conversation may do. */
export interface Talk {
  /** An answer is owed within `ms`, in place of the one before; with `undefined` none is. */
  await(step: string | undefined, ms: number): void;
  /** What comes may be gathered from now on, where the session says so. */
  gather(): void;
}

/** Both of them may throw: that is the end, and its reason. */
export interface Conversation {
  data(bytes: Buffer): void;
  /** We are leaving: the last words. */
  end(): void;
}

/**
 * Leads a conversation over an open socket until the session's signal aborts (resolves, once the other side has hung up, within
 * half a second) or until it ends otherwise (rejects): with what the conversation throws, with STREAM_TIMEOUT where an answer
 * stays out, with STREAM_ENDED where the other side hangs up. The socket is gone after.
 */
export function onSocket(
  { socket, inflow }: { socket: Socket; inflow: Inflow },
  place: string,
  { clock, signal, gatherMs = 0 }: Session,
  begin: (talk: Talk) => Conversation,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let awaited: string | undefined;
    let callOff = (): void => {};
    let leaving = false;
    let over = false;
    const finish = (failure?: unknown): void => {
      over = true;
      callOff();
      signal.removeEventListener("abort", leave);
      socket.destroy();
      if (failure === undefined || leaving) resolve();
      else reject(failure);
    };
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (cause) {
        finish(cause);
      }
    };
    const await_ = (step: string | undefined, ms: number): void => {
      callOff();
      awaited = step;
      callOff = step === undefined || leaving ? () => {} : clock.after(ms, () => finish(late(place, step, ms)));
    };
    const heard = (bytes: Buffer): void => {
      if (!leaving && !over) guarded(() => conversation.data(bytes));
    };
    const leave = (): void => {
      leaving = true;
      callOff();
      callOff = clock.after(FAREWELL_MS, () => finish());
      inflow.gather(clock, 0); // or the end of it would be read late
      guarded(() => {
        conversation.end();
        socket.end();
      });
    };
    let how = "closed";
    socket.on("error", (cause) => {
      how = reasonOf(cause);
    });
    socket.once("close", () => finish(ended(place, how, awaited)));
    let conversation: Conversation = { data: () => {}, end: () => {} };
    guarded(() => {
      conversation = begin({ await: await_, gather: () => inflow.gather(clock, gatherMs) });
    });
    if (over) return;
    inflow.hear(socket, heard);
    if (over) return; // what came early was the end of it
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}

const late = (place: string, step: string, ms: number): Failure =>
  new Failure("STREAM_TIMEOUT", `${place} did not answer "${step}" within ${ms} ms`, { facts: { place, step, ms } });

function ended(place: string, how: string, step: string | undefined): Failure {
  const when = step === undefined ? "" : ` while "${step}" was being answered`;
  const facts = { place, how, ...(step === undefined ? {} : { step }) };
  return new Failure("STREAM_ENDED", `${place} hung up${when}: ${how}`, { facts });
}
