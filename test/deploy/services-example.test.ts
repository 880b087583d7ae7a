import { expect, test } from "vitest";
import type { Target } from "../../agent/checks/service/config.ts";
import { services } from "../../agent/checks/service/service.ts";
import { AgentConfig } from "../../agent/config.ts";
import { readConfig } from "../../platform/config-file.ts";
import { CheckRig } from "../kit/check-rig.ts";
import { httpServer, rawServer } from "../kit/servers.ts";

const file = new URL("../../deploy/examples/services.json", import.meta.url).pathname;

test("the recipes are a config as it stands, and a service and its process are called the same", async () => {
  const { checks } = await readConfig(file, AgentConfig);
  const names = checks.service.targets.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(checks.process.watch.map(({ name }) => name)));
  expect(checks.switch.devices.map(({ name }) => name)).toEqual(["access-1", "cabinet-7"]);
});

test("what the recipes ask is understood by services of that kind, and a wrong answer is seen", async () => {
  const { checks } = await readConfig(file, AgentConfig);
  let well = true;
  await using health = await httpServer((_, response) =>
    response.end(well ? '{"status": "UP"}' : '{"status": "DOWN"}'),
  );
  const answers: [RegExp, string, string][] = [
    [
      /^OPTIONS \S+ RTSP\/1\.0\r\nCSeq: 1\r\n.*\r\n\r\n$/s,
      "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
      "RTSP/1.0 454 No\r\n\r\n",
    ],
    [
      /^OPTIONS \S+ SIP\/2\.0\r\n.*CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n$/s,
      "SIP/2.0 200 OK\r\n\r\n",
      "400 \r\n\r\n",
    ],
  ];
  await using talker = await rawServer((socket) =>
    socket.once("data", (asked) => {
      const found = answers.find(([question]) => question.test(String(asked)));
      socket.end(found?.[well ? 1 : 2] ?? "what?");
    }),
  );
  const ours = (target: Target): Target[] => {
    if (target.type === "tcp") return target.banner === undefined ? [] : [{ ...target, port: talker.port }];
    return target.name === "data-distribution" ? [{ ...target, url: `http://127.0.0.1:${health.port}/health` }] : [];
  };
  const targets = checks.service.targets.flatMap(ours).map((target) => ({ ...target, everyMs: 5_000 }));
  using rig = new CheckRig(services, { targets });
  await rig.round();
  const grades = () => rig.verdicts.map((one) => `${one.subject} ${one.state === "judged" ? one.grade : one.because}`);
  expect(grades()).toEqual(["data-distribution ok", "stream-relay ok", "dispatch ok"]);
  well = false;
  await rig.round();
  expect(grades()).toEqual(["data-distribution major", "stream-relay critical", "dispatch critical"]);
});
