/** Every way we fail on purpose. The key is the code in logs, reports and docs/errors.md. */
export const FAILURES = {
  CONFIG_UNREADABLE: { retry: false, help: "Check that the file exists, may be read by this user and is UTF-8 JSON." },
  CONFIG_INVALID: { retry: false, help: "Correct the value at the path named; `--print-defaults` shows a valid file." },
  ARGUMENT_INVALID: { retry: false, help: "See --help for the words this command takes." },
  MESSAGE_TOPIC: {
    retry: false,
    help: "The topic is not one of docs/topics.md: check the sender's version and the broker's ACL.",
  },
  MESSAGE_TOO_LARGE: {
    retry: false,
    help: "The payload is over the limit for its topic: the sender is faulty or hostile.",
  },
  MESSAGE_INVALID: { retry: false, help: "The payload does not fit the schema of its topic (docs/schemas)." },
  MESSAGE_TOO_OFTEN: {
    retry: true,
    help: "A device tells new inventories faster than one a minute: it is faulty or hostile. It is asked again later.",
  },
  MESSAGE_REFUSED: {
    retry: false,
    help: "The message fits its schema but the store could not take it: a bug, please report the logged facts.",
  },
  DEVICE_LIMIT: {
    retry: false,
    help: "More devices, alarm codes or telemetry codes than `limits` in the aggregator's config allows.",
  },
  DAILY_DATE: {
    retry: false,
    help: "A daily check bears a date more than two days ahead or 400 days behind: the device's clock is wrong.",
  },
  LINK_DOWN: { retry: true, help: "No broker of the list answers: check the line, the address and the broker's log." },
  LINK_REFUSED: { retry: true, help: "The broker refused the connection: check certificate, user name and client id." },
  LINK_FILES: {
    retry: true,
    help: "A certificate, key or password file of the link cannot be used: it must exist, be readable by this user, and a password file must be 0600.",
  },
  LINK_DENIED: {
    retry: false,
    help: "The broker's ACL forbids this topic to this device: a configuration fault on the broker.",
  },
  LINK_UNHEARD: { retry: true, help: "Nobody is subscribed: the aggregator is away. The record stays in the outbox." },
  MACHINE_READ: { retry: true, help: "The system file could not be read: the check is unknown until it can." },
  CHECK_DEADLINE: { retry: true, help: "The check did not answer in time: a device or a mount hangs." },
  RUN_MISSING: { retry: false, help: "The program is not installed, or this user may not execute it." },
  RUN_DEADLINE: { retry: true, help: "The program did not end in time: it was ended with all its children." },
  RUN_OUTPUT: { retry: false, help: "The program printed more than it may: it was ended." },
  RUN_FAILED: { retry: true, help: "The program ended with an error: its exit code and last words are in the facts." },
  FILE_UNUSABLE: {
    retry: true,
    help: "A file the config names cannot be used: it must be a plain file of sane size, readable by this user; one with a secret 0600.",
  },
  DIAL_NAME: { retry: true, help: "The host name has no address: check the name, /etc/hosts and the DNS servers." },
  DIAL_REFUSED: { retry: true, help: "The host is there, but nothing listens on this port: start the service." },
  DIAL_UNREACHABLE: { retry: true, help: "No way to this address: check cable, address, route and firewall." },
  DIAL_TIMEOUT: { retry: true, help: "No (whole) answer in time: the message says in which phase it was cut." },
  DIAL_RESET: { retry: true, help: "The other side cut the connection before it had answered: see its log." },
  DIAL_TLS: {
    retry: true,
    help: "No TLS handshake: no TLS on this port, a version too old, or a certificate is asked of us.",
  },
  DIAL_UNTRUSTED: {
    retry: true,
    help: "The server's certificate is not trusted, so nothing was sent: renew it, or name its authority in `caFile`.",
  },
  DIAL_PROTOCOL: {
    retry: true,
    help: "What came back is not what this protocol allows: another service on this port?",
  },
  DIAL_REDIRECT: { retry: true, help: "Redirected too often or to another host: configure the address it leads to." },
  DIAL_LOCAL: { retry: true, help: "This machine itself could not open the connection: see the error in the facts." },
  STREAM_TIMEOUT: {
    retry: true,
    help: "The media server took the connection but does not answer this request: it hangs. Restart it.",
  },
  STREAM_AUTH: {
    retry: false,
    help: "The media server refused user name or password: correct them. No new try is made before the config changes, or for 30 minutes: accounts are locked after wrong ones.",
  },
  STREAM_STATUS: {
    retry: true,
    help: "The media server refused the request: see the status. 404: the name of the stream is wrong, or nobody publishes it.",
  },
  STREAM_PROTOCOL: {
    retry: true,
    help: "What came is not the protocol of the address: check port and scheme, and what answers there.",
  },
  STREAM_ENDED: { retry: true, help: "The other side ended the stream: see how, and the log of encoder or forwarder." },
  STREAM_UNSUPPORTED: {
    retry: false,
    help: "The stream has no track, transport or container this agent can read: the message says what it has.",
  },
  PICTURE_DECODER: {
    retry: false,
    help: "No ffmpeg on this device, so the picture itself stays unknown: apt-get install ffmpeg, or switch `picture` off.",
  },
  PICTURE_BROKEN: { retry: true, help: "The decoder could not read a keyframe: the encoder writes damaged pictures." },
  SNMP_AUTH: {
    retry: true,
    help: "The device refuses user, password or protocol (SNMPv3): compare them with its own.",
  },
  SNMP_INVALID: {
    retry: true,
    help: "What the device answers is no sane SNMP: another program on the port, or a faulty agent.",
  },
  BASELINE_UNREADABLE: {
    retry: false,
    help: "The signed-off baseline of configs, or its key, cannot be used: `vigil-agent baseline approve` makes a new one.",
  },
  JOURNAL_UNWRITABLE: {
    retry: true,
    help: "The state folder is full or read-only: alarms are kept in memory until it can be written.",
  },
  STORE_BUSY: {
    retry: true,
    help: "The ticket store is locked or full: free space on its disk; messages wait at the broker.",
  },
  STORE_CORRUPT: {
    retry: false,
    help: "The ticket store's file is damaged: stop the aggregator, keep the file, restore a backup.",
  },
  STORE_SCHEMA: {
    retry: false,
    help: "The store was made by a newer version: start that version, or restore a backup.",
  },
  PORT_TAKEN: {
    retry: false,
    help: "Another program listens on this port: stop it, or choose another port (see --help).",
  },
  STATE_TAKEN: { retry: false, help: "Another process of ours uses this folder: stop it, or choose another folder." },
  DEMO_PART_ENDED: { retry: false, help: "Read the log named: a program of the demonstration could not start." },
  API_UNAUTHORIZED: {
    retry: false,
    help: "Send `Authorization: Bearer <token>` with a token the aggregator's config lists.",
  },
  API_UNREACHABLE: { retry: true, help: "The aggregator's HTTP API does not answer: check the URL and that it runs." },
  API_NOT_FOUND: { retry: false, help: "No such device, alarm or ticket: list them to see the names." },
  API_INVALID: { retry: false, help: "A parameter is not what /api/v1/openapi.json allows." },
  API_METHOD: { retry: false, help: "This API is only read: send GET or HEAD, without a body." },
  API_MALFORMED: { retry: false, help: "These bytes are not an HTTP/1.1 request this server takes." },
  API_TOO_LARGE: {
    retry: false,
    help: "Address, headers or body are over the limit: shorten the query, send no body.",
  },
  API_TOO_SLOW: { retry: true, help: "The request did not arrive in time: send it in one piece." },
  API_LIMITED: { retry: true, help: "Too many wrong tokens from this address: wait as Retry-After says." },
  API_BUSY: { retry: true, help: "As many watchers as allowed are connected: end one, or try later." },
  API_FAULT: { retry: true, help: "The aggregator failed on this request: see its log for the cause." },
  TOKENS_UNSAFE: { retry: false, help: "The file of tokens must be its owner's alone: chmod 600." },
} as const satisfies Record<string, { retry: boolean; help: string }>;
export type FailureCode = keyof typeof FAILURES;

/** An expected failure: `code` is stable and documented, `facts` name the path, the value and what was allowed. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly facts: Readonly<Record<string, string | number>>;
  constructor(code: FailureCode, message: string, more: { facts?: Failure["facts"]; cause?: unknown } = {}) {
    super(`${message} (${code})`, { cause: more.cause });
    this.name = "Failure";
    this.code = code;
    this.facts = more.facts ?? {};
  }
}
