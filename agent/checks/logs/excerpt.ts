import type { Redact } from "../../../platform/redact.ts";

/** Most characters of a log line that leave the device. */
const LENGTH = 200;

/** Escape sequences of terminals: colours and cursor (CSI), titles and links (OSC), and single ones. */
const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  /\u001b\[[0-9:;<=>?]{0,40}[ -/]{0,4}[@-~]|\u001b[\]PX^_][^\u0007\u001b]{0,400}(?:\u0007|\u001b\\)|\u001b[ -/]{0,2}[0-~]/g;
/** Control characters, and those that turn or hide what follows (bidirectional, zero width). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]+/g;

/**
 * A log line as people may read it elsewhere: nothing in it moves a terminal, secrets are taken out, then it is cut. In
 * this order: a cut through the middle of a secret would hide it from `redact`, and so would a control character.
 */
export function excerptOf(line: string, redact: Redact): string {
  const plain = line.toWellFormed().replace(ESCAPES, "").replace(CONTROLS, " ").trim();
  const clean = redact(plain);
  return clean.length <= LENGTH ? clean : `${clean.slice(0, LENGTH - 1).toWellFormed()}…`;
}
