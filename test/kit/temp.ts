import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempFolder extends Disposable {
  readonly path: string;
}

/** A fresh folder for one test, gone with everything in it when disposed: `using folder = tempFolder();`. */
export function tempFolder(name = "vigil"): TempFolder {
  const path = mkdtempSync(join(tmpdir(), `${name}-`));
  // A write that had begun when its owner was closed may still make a file: then the folder is emptied once more.
  const away = { recursive: true, force: true, maxRetries: 10, retryDelay: 20 };
  return { path, [Symbol.dispose]: () => rmSync(path, away) };
}
