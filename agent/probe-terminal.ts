import type { ReadStream, WriteStream } from "node:tty";
import { clip } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";

/** The terminal of whoever probes by hand. */
export interface Terminal {
  stdin: ReadStream;
  stderr: WriteStream;
  /** It knows how to move its cursor back. */
  canDraw: boolean;
}

const MOST_LETTERS = 1_000;
/** Of a serial console, which says it has none. */
const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;

/** Draws lines over those drawn before; none takes them away. Of more than fit the last: what has scrolled out stays as it is. */
export function drawer({
  stderr,
  canDraw,
}: Pick<Terminal, "canDraw"> & {
  stderr: Pick<WriteStream, "columns" | "rows" | "write">;
}): (lines: readonly string[]) => void {
  if (!canDraw) return () => {};
  let drawn = 0;
  return (all) => {
    const lines = all.slice(-Math.max(1, (stderr.rows || USUAL_ROWS) - 1));
    const back = drawn === 0 ? "" : `\u001b[${drawn}A`;
    const width = Math.max(2, (stderr.columns || USUAL_COLUMNS) - 1);
    const cut = lines.map((line) => `${clip(line, width)}\u001b[K\n`);
    stderr.write(`${back}\r\u001b[J${cut.join("")}`);
    drawn = lines.length;
  };
}

/** Asks for a password without showing it. Rejects with Failure ARGUMENT_INVALID when it is given up (Ctrl-C, Ctrl-D, empty). */
export function passwordAsker({ stdin, stderr }: Terminal): (user: string) => Promise<string> {
  return (user) =>
    new Promise((resolve, reject) => {
      let typed = "";
      const end = (): void => {
        stdin.off("data", heard);
        stdin.setRawMode(false);
        stdin.pause();
        stderr.write("\n");
      };
      const heard = (text: string): void => {
        for (const letter of text) {
          if (letter === "\r" || letter === "\n") {
            end();
            if (typed === "") reject(new Failure("ARGUMENT_INVALID", "no password was given"));
            else resolve(typed);
            return;
          }
          if (letter === "\u0003" || letter === "\u0004") {
            end();
            reject(new Failure("ARGUMENT_INVALID", "no password was given"));
            return;
          }
          if (letter === "\u007f" || letter === "\b") typed = typed.slice(0, -1);
          else if (typed.length < MOST_LETTERS) typed += letter;
        }
      };
      stderr.write(`${user} 密码 password: `);
      stdin.setEncoding("utf8");
      stdin.setRawMode(true);
      stdin.on("data", heard);
      stdin.resume();
    });
}
