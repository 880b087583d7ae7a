import fc from "fast-check";
import { expect, test } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { verifyTickets } from "../../aggregator/tickets/verify.ts";
import { comparePlaces } from "../../protocol/boot.ts";
import { SEVERITIES } from "../../protocol/severity.ts";
import { AggregatorRig, BOOTS, FakeDevice, type Message } from "../kit/aggregator.ts";

const CODES = ["disk.var", "memory.all"];

/** What a device lives through: raises, changes, clears, reboots. */
const step = fc.record({
  device: fc.nat({ max: 2 }),
  what: fc.constantFrom("toggle", "toggle", "toggle", "worse", "reboot"),
  code: fc.constantFrom(...CODES),
  severity: fc.constantFrom(...SEVERITIES),
});

interface Played {
  devices: FakeDevice[];
  messages: Message[];
  /** Dedup keys that were ever raised. */
  faults: Set<string>;
}

function play(
  steps: readonly { device: number; what: string; code: string; severity: (typeof SEVERITIES)[number] }[],
): Played {
  const devices = ["ft-1", "ft-2", "ft-3"].map((id) => new FakeDevice(id));
  const messages: Message[] = [];
  const faults = new Set<string>();
  for (const { device: index, what, code, severity } of steps) {
    const device = devices[index] ?? new FakeDevice();
    const active = device.active().includes(code);
    if (what === "reboot") device.boot = BOOTS[Math.min(BOOTS.indexOf(device.boot as never) + 1, 2)] ?? device.boot;
    else if (what === "worse" && active) messages.push(device.change(code, { severity }));
    else {
      messages.push(active ? device.clear(code, { severity }) : device.raise(code, { severity }));
      faults.add(`${device.id}/${code}`);
    }
  }
  return { devices, messages, faults };
}

/** 20 % repeated, and each message up to `reach` places away from where it belongs. */
function shuffled(messages: readonly Message[], random: () => number, reach: number): Message[] {
  const repeated = messages.flatMap((message, at) => {
    const copies = random() < 0.2 ? 2 : 1;
    return Array.from({ length: copies }, () => ({ message, at: at + random() * reach }));
  });
  return repeated.toSorted((a, b) => a.at - b.at).map(({ message }) => message);
}

async function check(rig: AggregatorRig, { devices, faults }: Played): Promise<void> {
  const { reading } = rig.store;
  const tickets = await reading.tickets({}, { limit: 1_000 });
  expect(tickets.map(({ dedup_key }) => dedup_key).toSorted()).toEqual([...faults].toSorted());
  const active = (await reading.alarms({ active: true }, { limit: 1_000 })).map(
    ({ device, code }) => `${device}/${code}`,
  );
  const truth = devices.flatMap((device) => device.active().map((code) => `${device.id}/${code}`));
  expect(active).toEqual(truth.toSorted());
  for (const { dedup_key, state } of tickets) expect(state === "已恢复").toBe(!active.includes(dedup_key));
  for (const device of devices) {
    const last = device.records
      .map(({ body }) => body)
      .toSorted(comparePlaces)
      .at(-1);
    const acked = (await reading.device(device.id))?.acked;
    if (last !== undefined) expect(acked?.seq).toBe(last.seq);
  }
  expect(await verifyTickets(reading)).toEqual([]);
}

test("whatever the order and however often: tickets are the distinct faults, alarms end as the last place says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 80, size: "max" }),
      fc.infiniteStream(fc.integer({ min: 0, max: 999_999 })) /* even, unlike doubles */,
      fc.integer({ min: 1, max: 40 }),
      async (steps, stream, reach) => {
        const next = () => Number(stream.next().value) / 1_000_000;
        const played = play(steps);
        await using rig = await new AggregatorRig(openSqliteStore({ file: ":memory:" })).start();
        for (const { topic, body } of shuffled(played.messages, next, reach)) {
          void rig.hear(topic, body);
          if (next() < 0.3) await rig.settle(); // batches of every size
        }
        for (const device of played.devices) void rig.hear(device.state().topic, device.state().body);
        await rig.settle();
        await check(rig, played);
      },
    ),
    { numRuns: 60 },
  );
});

test("alarm by alarm, a birth told at any moment loses nothing that comes behind it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: "max" }), fc.nat(), async (steps, at) => {
      const played = play(steps);
      await using rig = await new AggregatorRig(openSqliteStore({ file: ":memory:" })).start();
      // As after a long time without a broker: the birth's state overtakes what it closes.
      const cut = at % (played.messages.length + 1);
      const births = played.devices.map((device) => device.state());
      const told = [...played.messages.slice(0, cut), ...births, ...played.messages.slice(cut), ...births];
      for (const { topic, body } of told) void rig.hear(topic, body);
      await rig.settle();
      await check(rig, played);
    }),
    { numRuns: 60 },
  );
});
