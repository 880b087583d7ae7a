/**
 * Order of package versions as Debian policy §5.6.12 defines it (dpkg and opkg alike): `[epoch:]upstream[-revision]`.
 * Total over all strings: what policy forbids is ordered somehow, the same way each time, and never throws.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  return (
    compareDigits(left.epoch, right.epoch) ||
    compareText(left.upstream, right.upstream) ||
    compareText(left.revision, right.revision)
  );
}

/** Strictly earlier than `below` and strictly later than `above`, where given. */
export const isBetween = (
  version: string,
  range: { above?: string | undefined; below?: string | undefined },
): boolean =>
  (range.below === undefined || compareVersions(version, range.below) < 0) &&
  (range.above === undefined || compareVersions(version, range.above) > 0);

/** An absent epoch is 0, an absent revision is empty, which counts as 0 too. Epochs end at the first colon, revisions begin at the last hyphen. */
function parts(version: string): { epoch: string; upstream: string; revision: string } {
  const [, epoch = "", rest = ""] = /^(?:(\d+):)?(.*)$/su.exec(version) ?? [];
  const cut = rest.lastIndexOf("-");
  return cut < 0
    ? { epoch, upstream: rest, revision: "" }
    : { epoch, upstream: rest.slice(0, cut), revision: rest.slice(cut + 1) };
}

const isDigit = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
};

/** Where a character of a non-digit run stands: a tilde before the end, the end before letters, letters before all else. */
function weight(text: string, at: number): number {
  if (at >= text.length || isDigit(text, at)) return 0;
  const code = text.charCodeAt(at);
  if (code === 126) return -1;
  const letter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return letter ? code : code + 65_536;
}

/** Alternately a run of non-digits by `weight` and a run of digits by value, until one differs or both have ended. */
function compareText(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const difference = weight(a, i) - weight(b, j);
      if (difference !== 0) return Math.sign(difference);
      i += 1;
      j += 1;
    }
    const [from, other] = [i, j];
    while (isDigit(a, i)) i += 1;
    while (isDigit(b, j)) j += 1;
    const difference = compareDigits(a.slice(from, i), b.slice(other, j));
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Digits of any length by value: dates and hashes in versions outgrow a number. */
function compareDigits(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  if (left.length !== right.length) return Math.sign(left.length - right.length);
  return left === right ? 0 : left < right ? -1 : 1;
}
