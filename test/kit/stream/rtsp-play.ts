import type { Session } from "../../../agent/checks/stream/media.ts";
import { playRtsp, type RtspOptions } from "../../../agent/checks/stream/rtsp/play.ts";
import { systemClock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import { Heard, sessionOf } from "./heard.ts";

/** An RTSP session of a test, with what it hears. Disposed of it ends politely. */
export interface RtspPlaying extends AsyncDisposable {
  readonly heard: Heard;
  /** Resolves with the failure it ended with, "left" when it ended because we did. */
  readonly ended: Promise<Failure | "left">;
  leave(): Promise<Failure | "left">;
  /** Resolves when that holds; throws when the session ends before. */
  until(seen: (heard: Heard) => boolean): Promise<void>;
}

/** Begins to play, in real time. */
export function beginRtsp(
  { url, ...options }: { url: string } & Partial<RtspOptions>,
  more: Partial<Session> = {},
): RtspPlaying {
  const stop = new AbortController();
  const heard = new Heard();
  const session = { ...sessionOf(heard, systemClock, stop.signal), ...more };
  const ended = playRtsp({ transport: "auto", ...options, url }, session).then(
    () => "left" as const,
    (cause: unknown) => {
      if (cause instanceof Failure) return cause;
      throw cause;
    },
  );
  const leave = (): Promise<Failure | "left"> => {
    stop.abort();
    return ended;
  };
  return {
    heard,
    ended,
    leave,
    until: (seen) =>
      Promise.race([
        heard.until(() => seen(heard)),
        ended.then((how) => {
          if (!seen(heard)) throw new Error(`the session ended before: ${how}`);
        }),
      ]),
    async [Symbol.asyncDispose]() {
      await leave();
    },
  };
}
