import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accepting, type Child, startChild } from "../child.ts";
import { needs, needsThat, programPath } from "../peers.ts";
import { freePort } from "../ports.ts";
import { tempFolder } from "../temp.ts";

const MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/** nginx with its RTMP module on loopback: application `live` over RTMP, the same as HLS, and its counters. */
export interface Nginx extends AsyncDisposable {
  /** One process: what hangs or kills it hangs or kills the server. */
  readonly child: Child;
  rtmp(name: string): string;
  hls(name: string): string;
  /** Where `rtmp_stat` answers. */
  readonly stat: string;
}

export interface NginxWish {
  hlsFragmentSeconds?: number;
  hlsPlaylistSeconds?: number;
  /** Further directives of the application. */
  more?: string;
}

/** Whether tests with nginx must be skipped. */
export const needsNginx = (): boolean =>
  [needs("nginx", "nginx-light"), needsThat(existsSync(MODULE), "libnginx-mod-rtmp")].includes(true);

/** Starts it in a folder of its own; ended, with everything in the folder, when disposed. */
export async function startNginx(wish: NginxWish = {}): Promise<Nginx> {
  const folder = tempFolder("vigil-nginx");
  const [rtmp, http] = [await freePort(), await freePort()];
  const config = join(folder.path, "nginx.conf");
  for (const name of ["hls", "body", "proxy", "fastcgi", "uwsgi", "scgi"]) mkdirSync(join(folder.path, name));
  writeFileSync(config, configOf(folder.path, rtmp, http, wish));
  const child = startChild(programPath("nginx"), [
    "-p",
    folder.path,
    "-c",
    config,
    "-e",
    join(folder.path, "error.log"),
  ]);
  await accepting(rtmp, child);
  await accepting(http, child);
  return {
    child,
    rtmp: (name) => `rtmp://127.0.0.1:${rtmp}/live/${name}`,
    hls: (name) => `http://127.0.0.1:${http}/hls/${name}.m3u8`,
    stat: `http://127.0.0.1:${http}/stat`,
    async [Symbol.asyncDispose]() {
      await child.kill9(); // one that was stopped hears nothing else
      folder[Symbol.dispose]();
    },
  };
}

function configOf(folder: string, rtmp: number, http: number, wish: NginxWish): string {
  const { hlsFragmentSeconds = 2, hlsPlaylistSeconds = 10, more = "" } = wish;
  return `
load_module ${MODULE};
daemon off; master_process off;
user ${process.getuid?.() === 0 ? "root" : "nobody"};
pid ${folder}/nginx.pid;
events { worker_connections 128; }
rtmp { server { listen 127.0.0.1:${rtmp}; chunk_size 4096;
  application live { live on; wait_key on; ${more}
    hls on; hls_path ${folder}/hls; hls_fragment ${hlsFragmentSeconds}s; hls_playlist_length ${hlsPlaylistSeconds}s; } } }
http { access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
  server { listen 127.0.0.1:${http};
    location /stat { rtmp_stat all; }
    location /hls { root ${folder}; add_header Cache-Control no-cache; } } }
`;
}
