import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { awaitProgram } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

const NOBODY = 65_534;

test.skipIf(process.getuid?.() !== 0)(
  "what root signs off belongs to the agent's user, and the file may be root's alone",
  async () => {
    using folder = tempFolder("vigil-baseline");
    const [state, secret, config] = ["state", "root-only.conf", "agent.json"].map((name) => join(folder.path, name));
    if (state === undefined || secret === undefined || config === undefined) throw new Error("no paths");
    mkdirSync(state, { mode: 0o700 });
    chownSync(state, NOBODY, NOBODY);
    chownSync(folder.path, NOBODY, NOBODY);
    writeFileSync(secret, "Port 1\n", { mode: 0o600 });
    const files = [{ path: secret }];
    const whole = { device: "ft-1", brokers: [{ host: "h", port: 1 }], stateDir: state, checks: { drift: { files } } };
    writeFileSync(config, JSON.stringify(whole));
    const cli = (...words: string[]) =>
      awaitProgram("agent/main.ts", ["baseline", ...words, "-c", config, "--lang", "en"]);

    expect(await cli("approve", "--by", "Wang Li")).toMatchObject({ code: 0, err: "" });
    const kept = readdirSync(join(state, "checks")).map((name) => statSync(join(state, "checks", name)));
    expect(kept.map(({ uid, gid, mode }) => [uid, gid, mode & 0o777])).toEqual([
      [NOBODY, NOBODY, 0o600],
      [NOBODY, NOBODY, 0o600],
    ]);
    expect(await cli()).toMatchObject({ code: 0, out: expect.stringMatching(/as signed +Wang Li/) });
    writeFileSync(secret, "Port 2\n");
    expect(await cli("diff")).toMatchObject({ code: 1, out: expect.stringContaining("+    1  Port 2") });
    expect(await cli("approve")).toMatchObject({ code: 2, err: expect.stringContaining("--by NAME") });
    expect(await cli("history", "/etc/other")).toMatchObject({ code: 2 });
  },
);

test("a wrong config is told without the secrets that stand in it", async () => {
  using folder = tempFolder("vigil-baseline");
  const config = join(folder.path, "agent.json");
  const database = { url: "postgres://app:Kanarie@db/app", password: "Kanarie" };
  writeFileSync(config, JSON.stringify({ device: "rtsp://admin:Kanarie@10.0.0.1/", brokers: [database] }));
  const { code, err } = await awaitProgram("agent/main.ts", ["config", "--validate", "-c", config]);
  expect(code).toBe(2);
  expect(err).toContain("device:");
  expect(err).not.toContain("Kanarie");
  writeFileSync(config, '{"password": "Kanarie", "device": Kanarie }');
  const broken = await awaitProgram("agent/main.ts", ["run", "-c", config]);
  expect(broken.err).not.toContain('"Kanarie"');
});
