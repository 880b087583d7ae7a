import { writeSync } from "node:fs";

/** What a supervisor (systemd, sd_notify(3)) is told. Nothing here throws or waits: nobody may be listening. */
export interface Notifier {
  /** The program does its work now. */
  ready(): void;
  /** It is still alive: to be said well within the watchdog time. */
  watchdog(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** It ends on purpose. */
  stopping(): void;
}

/** What the supervisor handed to this process. */
export interface Supervision {
  /** A connected, non-blocking datagram socket (deploy/vigil-notify-exec). */
  fd?: number;
  /** Without a sign of life for so long we are killed, milliseconds. */
  watchdogMs?: number;
}

/** Reads VIGIL_NOTIFY_FD, WATCHDOG_USEC and WATCHDOG_PID. What is not meant for process `pid`, or no number, is left out. */
export function readSupervision(env: Readonly<Record<string, string | undefined>>, pid: number): Supervision {
  const number = (name: string): number | undefined => {
    const text = env[name];
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  };
  const fd = number("VIGIL_NOTIFY_FD");
  const micros = number("WATCHDOG_USEC");
  const meant = env["WATCHDOG_PID"] === undefined || number("WATCHDOG_PID") === pid;
  return {
    ...(fd !== undefined && fd > 2 ? { fd } : {}),
    ...(micros !== undefined && micros > 0 && meant ? { watchdogMs: micros / 1000 } : {}),
  };
}

/** A notifier on an inherited socket; without one it says nothing. */
export function openNotifier(fd: number | undefined): Notifier {
  const say = (line: string): void => {
    if (fd === undefined) return;
    try {
      writeSync(fd, `${line}\n`);
    } catch {
      // The supervisor's queue is full or it is gone: the next sign of life will do.
    }
  };
  return {
    ready: () => say("READY=1"),
    watchdog: () => say("WATCHDOG=1"),
    status: (text) => say(`STATUS=${text.replaceAll(/\s+/g, " ").slice(0, 200)}`),
    stopping: () => say("STOPPING=1"),
  };
}
