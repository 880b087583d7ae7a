// Stands for iconv-lite in a device's bundle (scripts/programs.ts): Node's own decoders know its encodings, and spare 0.5 MB of tables.
const NAMES = { cesu8: "utf-8" }; // MySQL's utf8mb3: beyond the basic plane it has nothing to tell apart

module.exports = {
  getDecoder(encoding) {
    const decoder = new TextDecoder(NAMES[encoding.toLowerCase()] ?? encoding);
    return { write: (bytes) => decoder.decode(bytes), end: () => "" };
  },
  getEncoder(encoding) {
    throw new Error(`nothing is written in ${encoding}: see scripts/programs.ts`);
  },
};
