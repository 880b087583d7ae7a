import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "../child.ts";
import { needs, needsThat, programPath } from "../peers.ts";
import { freePort } from "../ports.ts";

export interface GstOptions {
  /** 0: a free one. */
  port?: number;
  /** Every mount wants user `admin`, password `s3cret`. */
  auth?: "digest" | "basic";
  /** Paths of a certificate and its key: the server speaks rtsps. */
  tls?: { cert: string; key: string };
  width?: number;
  height?: number;
  fps?: number;
  kbps?: number;
  /** Frames from keyframe to keyframe. */
  gop?: number;
  /** What videotestsrc shows; 18 is a moving ball. */
  pattern?: number;
  /** SETUP over TCP is answered 461. */
  udpOnly?: boolean;
  /** Of a session, as the header says it. */
  timeoutS?: number;
  /** Matroska files behind /clip-h264 and /clip-h265. */
  clips?: { h264: string; h265: string };
  /** What the encoder behind /fwd sends. */
  forwards?: "H264" | "H265" | "MJPEG";
}

export const GST_USER = { user: "admin", password: "s3cret" } as const;

/** What a client asked, as the server told it. `login`: with a header Authorization. */
export interface Seen {
  event: string;
  login?: boolean;
  count?: number;
  port?: number;
  line?: string;
}

export interface GstServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Where an encoder sends what /fwd serves again. */
  readonly forwardPort: number;
  /** `rtsp://127.0.0.1:port/mount`. */
  url(mount: "h264" | "h264na" | "h265" | "mjpeg" | "fwd" | "clip-h264" | "clip-h265"): string;
  /** Everything it has told so far. */
  seen(): readonly Seen[];
  /** How often it was asked that: `describe`, `setup`, `play`, `teardown`, `options`, `get-parameter`, `session` … */
  count(event: string, login?: boolean): number;
  /** Sessions it has now. */
  sessions(): number;
  /** Resolves when what it has told so far fits. The test's own time limit ends the wait. */
  until(fits: (server: GstServer) => boolean): Promise<void>;
  /** Switches a fault, `drop=5`, `vstall=1`, `reset` …; resolves when it is done. */
  fault(line: string): Promise<void>;
  /** Stops (and lets go on) the whole process. */
  freeze(): void;
  thaw(): void;
  kill9(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL("gst-server.py", import.meta.url));
const PYTHON = "/usr/bin/python3";
const PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";

/** Whether tests with gst-rtsp-server must be skipped. */
export const needsGst = (): boolean =>
  needsThat(
    spawnSync(PYTHON, ["-c", PROBE]).status === 0,
    "gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly",
  );

/** Starts GStreamer's RTSP server on loopback; by default with a small picture, 640 × 360. */
export async function startGst(options: GstOptions = {}): Promise<GstServer> {
  const forwardPort = await freePort();
  const all = {
    ...{ port: 0, width: 640, height: 360, fps: 25, kbps: 1_000, gop: 50, pattern: 18, timeoutS: 60 },
    ...{ forwards: "H264", forwardPort, ...GST_USER },
    ...options,
  };
  // a stopped one does not see that its input has ended: the kernel then ends it with us
  const tied = [programPath("setpriv"), "--pdeathsig", "KILL", "--", PYTHON] as const;
  const [program, ...words] = tied;
  const child = spawn(program, [...words, SCRIPT, JSON.stringify(all)], { stdio: ["pipe", "pipe", "pipe"] });
  const told = following(child);
  const server = serverOf(child, told, forwardPort, all.tls === undefined ? "rtsp" : "rtsps");
  await told.until(() => told.seen.some(({ event }) => event === "ready"));
  return server;
}

interface Told {
  seen: Seen[];
  until(fits: () => boolean): Promise<void>;
}

function following(child: ChildProcess): Told {
  const seen: Seen[] = [];
  const looks = new Set<() => void>();
  let words = "";
  let isOver = false;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-2_000);
  });
  const look = (): void => {
    for (const one of looks) one();
  };
  if (child.stdout !== null)
    createInterface(child.stdout).on("line", (line) => {
      seen.push(JSON.parse(line));
      look();
    });
  child.once("close", () => {
    isOver = true;
    look();
  });
  return {
    seen,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const one = (): void => {
          if (!fits() && !isOver) return;
          looks.delete(one);
          if (fits()) resolve();
          else reject(new Error(`gst-rtsp-server has ended: ${words}`));
        };
        looks.add(one);
        one();
      }),
  };
}

function serverOf(child: ChildProcess, told: Told, forwardPort: number, scheme: string): GstServer {
  const { seen } = told;
  const closed = once(child, "close");
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await closed;
  };
  const server: GstServer = {
    get port() {
      return seen.find(({ event }) => event === "ready")?.port ?? 0;
    },
    pid: child.pid ?? 0,
    forwardPort,
    url: (mount) => `${scheme}://127.0.0.1:${server.port}/${mount}`,
    seen: () => seen,
    count: (event, login) =>
      seen.filter((one) => one.event === event && (login === undefined || one.login === login)).length,
    sessions: () => seen.findLast(({ count }) => count !== undefined)?.count ?? 0,
    until: (fits) => told.until(() => fits(server)),
    async fault(line) {
      const before = seen.length;
      child.stdin?.write(`${line}\n`);
      await told.until(() => seen.slice(before).some((one) => one.event === "switched" && one.line === line));
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    kill9: () => end("SIGKILL"),
    [Symbol.asyncDispose]: () => end("SIGKILL"), // it may be stopped, or in the midst of a fault
  };
  return server;
}

/** A separate encoder: loops a clip as RTP to a port of this machine, for /fwd. Stop it by its handle; SIGSTOP is a hung encoder. */
export function rtpEncoder(file: string, port: number): Child & AsyncDisposable {
  const input = ["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", file];
  const child = startChild(programPath("ffmpeg"), [
    ...input,
    ...["-an", "-c:v", "copy", "-f", "rtp", `rtp://127.0.0.1:${port}?pkt_size=1400`],
  ]);
  return { ...child, [Symbol.asyncDispose]: () => child.kill9() };
}

/** Whether tests with a separate encoder must be skipped. */
export const needsEncoder = (): boolean => needs("ffmpeg", "ffmpeg");
