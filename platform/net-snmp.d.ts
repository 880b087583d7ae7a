/** The part of net-snmp that platform/snmp.ts uses; the package has no types of its own. */
declare module "net-snmp" {
  import type { EventEmitter } from "node:events";

  namespace snmp {
    interface Varbind {
      oid: string;
      /** ASN.1 tag. */
      type: number;
      value: unknown;
    }
    interface Session extends EventEmitter {
      get(oids: string[], done: (error: Error | null, varbinds?: Varbind[]) => void): void;
      getNext(oids: string[], done: (error: Error | null, varbinds?: Varbind[]) => void): void;
      getBulk(
        oids: string[],
        nonRepeaters: number,
        maxRepetitions: number,
        done: (error: Error | null, varbinds?: Varbind[][]) => void,
      ): void;
      close(): void;
    }
    interface Options {
      version: number;
      port: number;
      transport: "udp4" | "udp6";
      /** Milliseconds until a question is sent again, and until it is given up after the last time. */
      timeout: number;
      retries: number;
      context?: string;
      backwardsGetNexts: boolean;
      reportOidMismatchErrors: boolean;
      /** Where the session gets its socket from. */
      dgramModule: { createSocket(): unknown };
    }
    interface User {
      name: string;
      level: number;
      authProtocol?: number | undefined;
      authKey?: string | undefined;
      privProtocol?: number | undefined;
      privKey?: string | undefined;
    }
  }
  const snmp: {
    createSession(target: string, community: string, options: snmp.Options): snmp.Session;
    createV3Session(target: string, user: snmp.User, options: snmp.Options): snmp.Session;
    Version1: number;
    Version2c: number;
    Version3: number;
    SecurityLevel: { noAuthNoPriv: number; authNoPriv: number; authPriv: number };
    AuthProtocols: Record<string, number>;
    PrivProtocols: Record<string, number>;
  };
  export = snmp;
}
