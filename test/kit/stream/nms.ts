import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { accepting, type Child, startChild } from "../child.ts";
import { freePort } from "../ports.ts";
import { tempFolder } from "../temp.ts";

/**
 * node-media-server on loopback: RTMP and HTTP-FLV. It keeps the last group of pictures of each stream and gives it to whoever
 * comes, even after the publisher stopped: the trap that a probe must not fall into.
 */
export interface Nms extends AsyncDisposable {
  readonly child: Child;
  rtmp(name: string): string;
  flv(name: string): string;
}

export async function startNms(): Promise<Nms> {
  const folder = tempFolder("vigil-nms");
  const [rtmp, http] = [await freePort(), await freePort()];
  const config = join(folder.path, "config.json");
  const bind = "127.0.0.1";
  // secrets of its own and no users, or it would make some up and write them down
  const auth = { play: false, publish: false, secret: "none", jwt: { secret: "none", users: [] } };
  const store = { path: folder.path, maxHistory: 10 };
  const off = { webadmin: { enable: false }, record: { auto: false, path: folder.path }, notify: { url: "" } };
  writeFileSync(config, JSON.stringify({ bind, store, auth, rtmp: { port: rtmp }, http: { port: http }, ...off }));
  const main = createRequire(import.meta.url).resolve("node-media-server");
  const child = startChild(process.execPath, [join(dirname(main), "../bin/app.js"), "-c", config]);
  await accepting(rtmp, child);
  await accepting(http, child);
  return {
    child,
    rtmp: (name) => `rtmp://127.0.0.1:${rtmp}/live/${name}`,
    flv: (name) => `http://127.0.0.1:${http}/live/${name}.flv`,
    async [Symbol.asyncDispose]() {
      await child.kill9(); // one that was stopped hears nothing else
      folder[Symbol.dispose]();
    },
  };
}
