import { chaos } from "./chaos.ts";
import { restlessIntake } from "./restless-intake.ts";
import { startEmbedded, startMosquitto } from "/work/main/test/kit/broker.ts";
const [,, kind, what] = process.argv;
const broker = await (kind === "m" ? startMosquitto({config:["autosave_interval 60"]}) : startEmbedded());
try { console.log(what === "i" ? await restlessIntake(broker, {seed: Number(process.argv[4]??1), faults: 200, repeats: 0.2, kills: 20 }): await chaos(broker, { seed: 7, subjects: 100, kills: 20, pauseMs: [500, 3000] }, console.log)); }
finally { await broker[Symbol.asyncDispose](); }
