import type { Machine } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Verdict } from "../check.ts";
import type { NetworkConfig } from "./network.ts";
import { ownersOf } from "./owners.ts";
import { type Listening, parseListening } from "./text.ts";

type Wanted = NetworkConfig["listen"][number];

const ANYWHERE = new Set(["0.0.0.0", "::"]);
/** Workers of one program share a port; more of them tell nothing new. */
const MOST_SOCKETS = 16;

interface Post {
  wanted: Wanted;
  subject: string;
  /** The sockets its verdict stands on. */
  inodes: string;
  verdict: Verdict | undefined;
}

/** Does something listen where it must, and is it the right program? */
export class ListenWatch {
  readonly #machine: Machine;
  readonly #everyMs: number;
  readonly #posts: readonly Post[];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looks = 0;
  #last: readonly Verdict[] = [];

  constructor({ listen, listenEveryMs }: Pick<NetworkConfig, "listen" | "listenEveryMs">, machine: Machine) {
    this.#machine = machine;
    this.#everyMs = listenEveryMs;
    this.#posts = listen.map((wanted) => ({ wanted, subject: subjectOf(wanted), inodes: "", verdict: undefined }));
  }

  /** The same array while the sockets are the same. */
  look(nowMs: number): readonly Verdict[] {
    if (this.#posts.length === 0 || nowMs - this.#lookedAt < this.#everyMs) return this.#last;
    this.#lookedAt = nowMs;
    this.#looks += 1;
    const found = { tcp: this.#sockets("tcp"), udp: this.#sockets("udp") };
    const verdicts = this.#posts.map((post) => this.#judge(post, found[post.wanted.protocol]));
    if (verdicts.some((verdict, i) => verdict !== this.#last[i])) this.#last = verdicts;
    return this.#last;
  }

  #sockets(protocol: "tcp" | "udp"): readonly Listening[] | Failure {
    const ports = new Set(this.#posts.flatMap(({ wanted }) => (wanted.protocol === protocol ? [wanted.port] : [])));
    if (ports.size === 0) return [];
    try {
      return [protocol, `${protocol}6`].flatMap((file) =>
        parseListening(this.#machine.read(`/proc/net/${file}`) ?? "", protocol, ports),
      );
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  #judge(post: Post, sockets: readonly Listening[] | Failure): Verdict {
    const { wanted, subject } = post;
    if (sockets instanceof Failure) {
      post.inodes = "";
      return { state: "unknown", subject, because: sockets.message, asked: this.#looks };
    }
    const fitting = sockets.filter((one) => fits(one, wanted));
    const inodes = fitting.map(({ inode }) => inode).toSorted((a, b) => a - b);
    const key = inodes.join();
    if (post.verdict !== undefined && key === post.inodes) return post.verdict;
    post.verdict = this.#judgeAnew(wanted, subject, fitting, inodes.slice(0, MOST_SOCKETS));
    post.inodes = post.verdict.state === "unknown" ? "again" : key;
    return post.verdict;
  }

  #judgeAnew(wanted: Wanted, subject: string, fitting: readonly Listening[], inodes: readonly number[]): Verdict {
    const { protocol, port, process, severity } = wanted;
    const about = { state: "judged", subject, readings: { listening_count: fitting.length } } as const;
    const where = `${protocol} port ${port}${wanted.address === undefined ? "" : ` of ${wanted.address}`}`;
    if (fitting.length === 0)
      return { ...about, grade: severity, holds: severity, reason: "listen", says: `nothing listens on ${where}` };
    const listens = { ...about, grade: "ok", holds: "ok", reason: "listen" } as const;
    if (process === undefined) return { ...listens, says: `something listens on ${where}` };
    const owners = ownersOf(this.#machine, inodes);
    if (owners.length === 0) {
      const because = `${where} is taken, but this user may not see by which program`;
      return { state: "unknown", subject, because, asked: this.#looks };
    }
    const foreign = owners.filter(({ names }) => !names.includes(process));
    // a parent that hands its socket down owns it with its children: one right owner of each socket is enough
    const lost = inodes.filter((inode) => !owners.some((one) => one.inode === inode && one.names.includes(process)));
    const [first] = foreign.filter(({ inode }) => lost.includes(inode));
    if (first === undefined) return { ...listens, says: `${process} listens on ${where}` };
    const says = `${where} belongs to ${first.names[0] ?? "a program"} (process ${first.pid}), not to ${process}`;
    return { ...about, grade: severity, holds: severity, reason: "owner", says };
  }
}

const subjectOf = ({ protocol, port, address }: Wanted): string =>
  `${protocol} ${address === undefined ? "" : `${address} `}${port}`;

const fits = (socket: Listening, { port, address }: Wanted): boolean =>
  socket.port === port && (address === undefined || socket.address === address || ANYWHERE.has(socket.address));
