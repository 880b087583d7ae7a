import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CATALOGUE } from "../../../agent/checks/logs/catalogue.ts";
import { compile, isFound, regexFault } from "../../../agent/checks/regex-lint.ts";
import { parseRegex, type Regex } from "../../../agent/checks/regex-syntax.ts";

const fault = (source: string, literal: string) => regexFault(source, [literal]);

describe("what a pattern may not be", () => {
  test.each([
    ["(a+)+end", "repeat within a repeat"],
    ["(a*)*end", "can be empty"],
    ["end(a|a)*x", "can take the same characters"],
    ["end(a|aa)+x", "can take the same characters"],
    ["end(\\w+\\s?)*x", "repeat within a repeat"],
    ["end(.*)*x", "can be empty"],
    ["end\\s*\\s*x", "can take the same characters"],
    ["end\\s*\\s*", "can take the same characters"],
    ["end\\d*\\w*x", "can take the same characters"],
    ["enda?a?x", "can take the same characters"],
    ["end(a|a)(a|a)(a|a)x", "can take the same characters"],
    ["end(a?)*x", "can be empty"],
    ["end(a?|b?)x", "more than one alternative can be empty"],
    ["end([a-z]+)*x", "repeat within a repeat"],
    ["end([a-z]+[0-9]*)+x", "repeat within a repeat"],
    [".*end", "leave it out"],
    ["end.*", "leave it out"],
    [".*end.*more.*", "more than one .*"],
    ["end.*more.*last", "more than one .*"],
    ["end\\d*.*more", "must have one length"],
    ["(end .*more)", "quadratic"],
    ["\\d+ end", "quadratic"],
    ["\\w+end", "quadratic"],
    ["\\s*end", "quadratic"],
    ["end\\w+x", "quadratic"],
    ["end.*\\w+x", "quadratic"],
    ["(end)\\1", "back references"],
    ["(?<n>end)\\k<n>", "named groups"],
    ["end(?=x)", "look-ahead"],
    ["(?<!a+)end", "look-behind"],
    ["end\\p{L}", "\\p is not supported"],
    ["end{2,1}", "repeats nothing"],
    ["end++", "a repeat of a repeat"],
    ["end(", "a ( without its )"],
    ["end)", "a ) without its ("],
    ["end[a", "a [ without its ]"],
    ["*end", "nothing before it"],
    ["end(\\d{1,60}\\.){1,60}", "too large"],
    ["(a{1,65}){1,65}end", "repeat within a repeat"],
  ])("%s", (source, why) => {
    expect(fault(source, "end")).toContain(why);
  });

  test("one whose matches need not contain its literal: the prefilter would miss them", () => {
    expect(fault("I/O error|blk_update_request", "I/O error")).toContain('without "I/O error"');
    expect(fault("mmc\\d: timeout", "mmc0")).toContain('without "mmc0"');
    expect(fault("(fail)?ed to", "failed")).toContain('without "failed"');
    expect(regexFault("Failed password|failed login", ["Failed", "failed login"])).toBeUndefined();
    expect(fault("[Ee]rror: \\d+", "rror: ")).toBeUndefined();
    expect(fault("aab", "aab")).toBeUndefined();
    expect(fault("(ab){2}", "abab")).toBeUndefined();
    expect(fault("x*", "xxx")).toContain("without");
  });
});

test("what field engineers write is taken", () => {
  const taken: [source: string, ...literals: string[]][] = [
    ["Out of memory: Killed process \\d+", "Killed process"],
    ["EXT4-fs error \\(device \\w+\\)", "EXT4-fs error"],
    ["ERROR .*timeout", "ERROR "],
    ["FATAL .*errno=\\d+", "errno="],
    ["\\.service: Main process exited, code=\\w+, status=\\d+", "Main process"],
    ["thermal throttling|temperature above threshold", "thermal throttling", "temperature above"],
    ["Connection refused .*1883", "Connection refused"],
    ["^\\w{3} +\\d+ [\\d:]{8} vt_encoder\\[\\d+\\]: ERROR", "vt_encoder["],
    ["\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3} refused", " refused"],
    ["(解码|编码)失败: 通道\\d+", "码失败: 通道"],
    ["code=(exited|killed|dumped), status=\\d+/[A-Z]+", "code=exited", "code=killed", "code=dumped"],
    ["https?://[^ ]{1,60} unreachable", " unreachable"],
    ["password( check)? failed", "password"],
    ["stream \\d+ stalled for \\d+(\\.\\d+)?s", "stalled for"],
    ["^\\[ *\\d+\\.\\d+\\] mmc\\d+: error -\\d+", ": error -"],
  ];
  const faults = taken.map(([source, ...literals]) => [source, regexFault(source, literals)]);
  expect(faults.filter(([, why]) => why !== undefined)).toEqual([]);
});

test("the whole catalogue is taken by the same rules", () => {
  const faults = CATALOGUE.map(({ id, regex, literals }) => [
    id,
    regex === undefined ? undefined : regexFault(regex, literals),
  ]);
  expect(faults.filter(([, why]) => why !== undefined)).toEqual([]);
});

/** Characters looked at by a matcher that goes back on every failure, from every place of the line. */
function steps(regex: Regex, line: string, most: number): number {
  let count = 0;
  const enough = Symbol("enough");
  const run = (node: Regex, at: number, then: (at: number) => boolean): boolean => {
    switch (node.kind) {
      case "assertion":
        return then(at);
      case "chars": {
        count += 1;
        if (count > most) throw enough;
        const code = line.charCodeAt(at);
        return at < line.length && node.chars.some(([a, b]) => a <= code && code <= b) && then(at + 1);
      }
      case "choice":
        return node.of.some((one) => run(one, at, then));
      case "sequence": {
        const part = (i: number, from: number): boolean => {
          const next = node.parts[i];
          return next === undefined ? then(from) : run(next.regex, from, (to) => part(i + 1, to));
        };
        return part(0, at);
      }
      case "repeat": {
        const again = (times: number, from: number): boolean =>
          (times < node.most && run(node.one, from, (to) => to > from && again(times + 1, to))) ||
          (times >= node.least && then(from));
        return again(0, at);
      }
    }
  };
  try {
    for (let at = 0; at <= line.length; at += 1) if (run(regex, at, () => true)) return count;
  } catch (thrown) {
    if (thrown !== enough) throw thrown;
  }
  return count;
}

const atom = fc.constantFrom(
  "a",
  "b",
  "x",
  "\\d",
  "\\w",
  "[ab]",
  "[^a]",
  "1",
  " ",
  "(ab|b)",
  "(a|b1)",
  "(a|xa)",
  "(x1)",
);
const piece = fc
  .tuple(atom, fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}"))
  .map(([one, times]) => one + times);
const group = fc.tuple(fc.array(piece, { minLength: 1, maxLength: 3 }), fc.constantFrom("", "*", "+", "?", "{1,2}"));
const source = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: piece },
      { weight: 1, arbitrary: group.map(([parts, times]) => `(${parts.join("")})${times}`) },
    ),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(""));
const word = fc.string({ unit: fc.constantFrom("a", "b", "x", "1", " "), minLength: 1, maxLength: 5 });

describe("an expression that was taken", () => {
  test("looks at no character of a line more than a few times, whatever the line", () => {
    let taken = 0;
    fc.assert(
      fc.property(source, fc.constantFrom("", "abx", "x1 "), word, word, word, (middle, before, start, pump, end) => {
        const whole = `${before}${middle}END`;
        if (regexFault(whole, ["END"]) !== undefined) return;
        taken += 1;
        const line = start + pump.repeat(Math.ceil(600 / pump.length)) + end;
        // at most one way per position of the expression at each character
        expect(steps(parseRegex(whole), line, 200_000)).toBeLessThan(line.length * 60);
      }),
      { numRuns: 4_000 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  test("one that was refused does take more: the measure tells them apart", () => {
    const line = (text: string) => text.repeat(600 / text.length);
    expect(steps(parseRegex("\\w+END"), line("a"), 1e6)).toBeGreaterThan(600 * 60);
    expect(steps(parseRegex("ab(\\w|ab)*END"), line("ab"), 1e6)).toBeGreaterThan(600 * 60);
  });

  test("finds what the engine finds", () => {
    const sources = fc
      .tuple(source, fc.constantFrom("", "END", ".*END", ".+END1?", "[^]*END"))
      .map((parts) => parts.join(""));
    const line = fc
      .array(fc.oneof(word, fc.constantFrom("END", "ab", "x1")), { maxLength: 8 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(sources, line, (text, found) => {
        const why = regexFault(text, ["END"]);
        if (why !== undefined && !why.includes("without")) return;
        expect(isFound(compile(text), found)).toBe(new RegExp(text, "s").test(found));
      }),
      { numRuns: 3_000 },
    );
  });
});

test("any text is taken or refused with a reason, never by a crash", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc
      .array(fc.constantFrom(..."()[]{}*+?|.\\^$-,0123abdwsxu".split("")), { maxLength: 40 })
      .map((all) => all.join("")),
  );
  fc.assert(
    fc.property(text, (one) => {
      const why = regexFault(one, ["END"]);
      expect(why === undefined || why.length > 0).toBe(true);
      if (why === undefined) expect(() => new RegExp(one)).not.toThrow();
    }),
    { numRuns: 3_000 },
  );
});
