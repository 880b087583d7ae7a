import { unheld } from "./clock.ts";

/** What Node does not have before 22.15. */
type Execve = (file: string, args: readonly string[], env: Record<string, string>) => void;

/**
 * Ends this process with `code` if something still holds it after `ms`; costs nothing where it ends by itself. Node waits
 * for every thread, also in process.exit, and one that asked a dead mount never comes back.
 */
export async function leaveAfter(ms: number, code: number): Promise<void> {
  await unheld(ms);
  const execve = (process as { execve?: Execve }).execve;
  // another program in this process's place takes its threads away and keeps its exit code; SIGKILL cannot do that
  execve?.call(process, "/bin/sh", ["sh", "-c", `exit ${code}`], {});
  process.kill(process.pid, "SIGKILL");
}
