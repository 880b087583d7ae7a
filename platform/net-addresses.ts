import { networkInterfaces } from "node:os";

/** IP addresses of this machine's interfaces that are up, by name; those of the link alone (169.254/16, fe80::/10) apart. */
export interface InterfaceAddresses {
  global: readonly string[];
  link: readonly string[];
}

/** Asks the kernel (rtnetlink); some ten microseconds. */
export function addressesByInterface(): ReadonlyMap<string, InterfaceAddresses> {
  const found = new Map<string, InterfaceAddresses>();
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    const all = infos.map(({ address }) => address);
    found.set(name, { global: all.filter((one) => !isOfLink(one)), link: all.filter(isOfLink) });
  }
  return found;
}

const isOfLink = (address: string): boolean => address.startsWith("169.254.") || /^fe[89ab]/i.test(address);
