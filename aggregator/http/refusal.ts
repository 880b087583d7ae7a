import { FAILURES, Failure, type FailureCode } from "../../protocol/failure.ts";

/** HTTP status of each failure a request can meet; what is not here is our own fault: 500. */
const STATUS: Partial<Record<FailureCode, number>> = {
  API_INVALID: 400,
  API_MALFORMED: 400,
  API_UNAUTHORIZED: 401,
  API_NOT_FOUND: 404,
  API_METHOD: 405,
  API_TOO_SLOW: 408,
  API_TOO_LARGE: 413,
  API_LIMITED: 429,
  API_BUSY: 503,
  STORE_BUSY: 503,
};

/** On every answer: nothing here may be framed, sniffed, cached or run by a browser. */
export const SAFE_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export interface Refusal {
  status: number;
  headers: Record<string, string>;
  /** JSON `{code, message, help}`. */
  body: string;
}

/** What a failure looks like from outside. `more` are headers of this refusal alone. */
export function refusalOf(failure: Failure, more: Record<string, string> = {}): Refusal {
  const { code } = failure;
  const message = failure.message.replace(` (${code})`, "");
  return {
    status: STATUS[code] ?? 500,
    headers: { ...SAFE_HEADERS, "content-type": "application/json; charset=utf-8", ...OWN_HEADERS[code], ...more },
    body: JSON.stringify({ code, message, help: FAILURES[code].help }),
  };
}

const OWN_HEADERS: Partial<Record<FailureCode, Record<string, string>>> = {
  API_UNAUTHORIZED: { "www-authenticate": 'Bearer realm="vigil"' },
  API_METHOD: { allow: "GET, HEAD", connection: "close" },
  API_TOO_LARGE: { connection: "close" },
  API_BUSY: { "retry-after": "10" },
  STORE_BUSY: { "retry-after": "5" },
};

/** How often each refusal was given, by code, since the start. */
export class RefusalCount {
  readonly #counts = new Map<FailureCode, number>();
  add(code: FailureCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }
  get all(): ReadonlyMap<FailureCode, number> {
    return this.#counts;
  }
}

/** Anything thrown, as a failure: what is not one already is our own fault, and its text stays in the log. */
export const asFailure = (cause: unknown): Failure =>
  cause instanceof Failure ? cause : new Failure("API_FAULT", "the aggregator failed on this request", { cause });
