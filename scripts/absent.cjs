// Stands for a package that a program never uses (scripts/programs.ts): using it all the same says so.
module.exports = new Proxy(class Absent {}, {
  get: (target, name) =>
    name === "default" || name === "__esModule" || name in target ? Reflect.get(target, name) : undefined,
  construct() {
    throw new Error("not in this bundle: see scripts/programs.ts");
  },
});
