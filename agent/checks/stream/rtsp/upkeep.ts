import type { Clock } from "../../../../platform/clock.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Reply } from "./message.ts";
import type { PlayedTrack } from "./set-up.ts";

export interface UpkeepOrder {
  clock: Clock;
  played: readonly PlayedTrack[];
  /** What the server said it knows (header `Public`), undefined where it did not say. */
  methods: string | undefined;
  timeoutMs: number;
  ask: (method: string) => Promise<Reply>;
  /** Told when the server does not answer; the stream may go on all the same. */
  unanswered: () => void;
  /** The session is over for this cause. */
  end: (cause: unknown) => void;
}

const REPORT_MS = 5_000;
const UNKNOWN_METHOD = new Set([400, 405, 451, 501, 551]);

/**
 * Keeps a session that plays: a sign of life at half of the server's timeout, and RTCP receiver reports every 5 s, without
 * which some servers stop. Returns how to stop it.
 */
export function keepUp({ clock, played, methods, timeoutMs, ask, unanswered, end }: UpkeepOrder): () => void {
  let isOver = false;
  let method = methods === undefined || /\bGET_PARAMETER\b/.test(methods) ? "GET_PARAMETER" : "OPTIONS";
  const keepMs = timeoutMs / 2; // half a second at least: see `sessionOf`
  const keep = async (): Promise<void> => {
    const begun = clock.now();
    try {
      const { status } = await ask(method);
      if (status === 454)
        end(new Failure("STREAM_ENDED", "the server knows our session no more", { facts: { how: "session" } }));
      if (UNKNOWN_METHOD.has(status)) method = "OPTIONS";
    } catch (cause) {
      if (cause instanceof Failure && cause.code === "STREAM_TIMEOUT") unanswered();
      else end(cause);
    }
    if (!isOver) callOffKeep = clock.after(Math.max(0, keepMs - (clock.now() - begun)), () => void keep());
  };
  const report = (): void => {
    for (const { track, control } of played) control(track.report(clock.now()));
    callOffReport = clock.after(REPORT_MS, report);
  };
  let callOffKeep = clock.after(keepMs, () => void keep());
  let callOffReport = clock.after(REPORT_MS, report);
  return () => {
    isOver = true;
    callOffKeep();
    callOffReport();
  };
}
