import type { Conclusion } from "../../../agent/checks/stream/conclusion.ts";
import type { MediaSink, Play, Session } from "../../../agent/checks/stream/media.ts";
import type { Examiner } from "../../../agent/checks/stream/watch.ts";
import type { Failure } from "../../../protocol/failure.ts";

/** A server played by hand: sessions open, stay and end as the test says. */
export class HandServer {
  /** Sessions that were begun. */
  begun = 0;
  /** Open now; and as many as ever were at the same time. */
  open = 0;
  mostOpen = 0;
  /** Sessions that were ended politely: the abort was heard, and they said goodbye. */
  parted = 0;
  /** A session fails so at once while this is set. */
  refuses: (() => Failure) | undefined;
  #end: ((failure: Failure) => void) | undefined;
  session: Session | undefined;

  readonly play: Play = (session) => {
    this.begun += 1;
    const refused = this.refuses?.();
    if (refused !== undefined) return Promise.reject(refused);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    this.session = session;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const over = (): void => {
      this.open -= 1;
      this.#end = undefined;
    };
    const parted = (): void => {
      this.parted += 1;
      over();
      resolve();
    };
    session.signal.addEventListener("abort", parted);
    this.#end = (failure) => {
      session.signal.removeEventListener("abort", parted);
      over();
      reject(failure);
    };
    return promise;
  };

  /** The running session ends by the other side. */
  end(failure: Failure): void {
    this.#end?.(failure);
  }
}

const silent: MediaSink = {
  step() {},
  track() {},
  bytes() {},
  frame() {},
  format() {},
  packets() {},
  senderClock() {},
  wantsPicture: () => false,
  picture() {},
  odd() {},
};

/** Concludes what the test says. */
export class HandExaminer implements Examiner {
  /** While a session is open. */
  sees: Conclusion = { state: "ok", says: "25 frames a second" };
  plays: number | undefined = 0;
  wants = false;
  failures: Failure[] = [];
  readonly #now: () => number;
  #begun = 0;

  constructor(now: () => number) {
    this.#now = now;
  }
  begin(): MediaSink {
    this.#begun = this.#now();
    return silent;
  }
  conclude(): Conclusion {
    return this.sees;
  }
  failed(failure: Failure): Conclusion {
    this.failures.push(failure);
    if (failure.code === "STREAM_AUTH")
      return { state: "auth", reason: "auth", hop: "encoder", severity: "major", says: failure.message };
    return { state: "unreachable", reason: "refused", hop: "encoder", severity: "major", says: failure.message };
  }
  playingMs(): number | undefined {
    return this.plays === undefined ? undefined : this.plays + this.#now() - this.#begun;
  }
  wantsMore(): boolean {
    return this.wants;
  }
  end(): void {}
}
