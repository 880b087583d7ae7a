import { type Child, startChild } from "../child.ts";
import { programPath } from "../peers.ts";

/** An encoder that publishes a clip over RTMP at its own pace, again and again. */
export interface Publisher extends AsyncDisposable {
  readonly child: Child;
  /** It hangs with its connection open, and lives again. */
  hang(): void;
  goOn(): void;
  /** The machine it ran on lost its power, so to speak; the connection is closed by the kernel. */
  kill9(): Promise<void>;
}

export interface PublishWish {
  /** Plays the clip once, and hangs up. */
  once?: boolean;
  /** Further options for the output. */
  output?: readonly string[];
}

/**
 * ffmpeg, copying the picture: 1 % of a core. `path`: a clip in a container that loops (`.ts`). Sound is encoded anew where the
 * clip loops: ffmpeg 5 loses it for good at the first turn when it copies.
 */
export function publish(path: string, url: string, { once = false, output = [] }: PublishWish = {}): Publisher {
  const loop = once ? [] : ["-stream_loop", "-1"];
  const sound = once ? ["-bsf:a", "aac_adtstoasc"] : ["-c:a", "aac", "-b:a", "48k"];
  const child = startChild(programPath("ffmpeg"), [
    ...["-v", "error", "-nostdin", "-re", ...loop, "-i", path],
    ...["-c", "copy", ...sound, ...output, "-f", "flv", url],
  ]);
  return {
    child,
    hang: () => void child.process.kill("SIGSTOP"),
    goOn: () => void child.process.kill("SIGCONT"),
    kill9: () => child.kill9(),
    [Symbol.asyncDispose]: () => child.kill9(),
  };
}
