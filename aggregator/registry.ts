import type { Severity } from "../protocol/severity.ts";

/** What the desk knows of a device before it says a word. */
export interface Registered {
  site?: string;
  class?: string;
  /** How bad it is not to hear this device. */
  offlineSeverity: Severity;
}

export interface RegistryConfig {
  /** By class name. */
  classes: Readonly<Record<string, { offlineSeverity: Severity }>>;
  /** By device id. */
  devices: Readonly<Record<string, { site?: string | undefined; class?: string | undefined }>>;
}

/** Looks devices up in the config; one that is not there is welcome and has no site. */
export function openRegistry({ classes, devices }: RegistryConfig, offlineSeverity: Severity) {
  const entries = Object.entries(devices).map(([id, { site, class: name = "" }]): [string, Registered] => [
    id,
    {
      offlineSeverity: classes[name]?.offlineSeverity ?? offlineSeverity,
      ...(site !== undefined && { site }),
      ...(name !== "" && { class: name }),
    },
  ]);
  const known = new Map(entries);
  const stranger: Registered = { offlineSeverity };
  return (device: string): Registered => known.get(device) ?? stranger;
}
export type Registry = ReturnType<typeof openRegistry>;

/** Which devices are of which class, by the config. */
export interface ClassBook {
  classOf(device: string): string | undefined;
  devicesOf(name: string): readonly string[];
}

export function classBook({ devices }: RegistryConfig): ClassBook {
  const classes = new Map(
    Object.entries(devices).flatMap(([id, { class: name }]) => (name === undefined ? [] : [[id, name]])),
  );
  return {
    classOf: (device) => classes.get(device),
    devicesOf: (name) => [...classes].filter(([, own]) => own === name).map(([id]) => id),
  };
}
