/** A secret planted to be searched for: `text` is how it stands where we read it, `secret` what must be found nowhere. */
export interface Canary {
  kind: string;
  text: string;
  secret: string;
  /** Only what the site lists (`secretWords`) makes it one. */
  listed?: true;
}

const RAW = String.raw;
/** Every canary has something of its own in it, so that it can be found in a heap of texts. */
const word = (id: number): string => `Kanarie${String(id).padStart(2, "0")}xQ7`;

const kinds: readonly [kind: string, make: (secret: string) => string][] = [
  ["key=value", (secret) => `connect failed password=${secret} host=10.0.0.7`],
  ["key: value", (secret) => `db_password: ${secret}`],
  ["key = value", (secret) => `passwd = ${secret}`],
  ["JSON", (secret) => `{"user":"app","password":"${secret}","port":5432}`],
  ["JSON in JSON", (secret) => RAW`{"msg":"{\"secret\":\"${secret}\"}"}`],
  ["single quotes", (secret) => `{'api_secret': '${secret}', 'n': 1}`],
  ["YAML with spaces", (secret) => `password: ${secret} horse battery`],
  ["XML element", (secret) => `<login><password>${secret}</password></login>`],
  ["XML attribute", (secret) => `<user name="app" password="${secret}"/>`],
  ["XML property", (secret) => `<property name="jdbc.password" value="${secret}"/>`],
  ["URL query", (secret) => `GET /api/v1/list?user=app&access_token=${secret}&page=2 500`],
  ["URL query, key", (secret) => `https://hook.example/send?key=${secret}`],
  ["URL-encoded setting", (secret) => `body user%3Dapp%26password%3D${secret}%26x%3D1`],
  ["long flag", (secret) => `mysqld --user app --password ${secret} --port 3306`],
  ["long flag =", (secret) => `app --db-password=${secret} --verbose`],
  ["short flag", (secret) => `sshpass -p ${secret} ssh root@10.0.0.7`],
  ["attached flag", (secret) => `mysql -uroot -p${secret} appdb`],
  ["user:password flag", (secret) => `curl -u app:${secret} http://10.0.0.7/`],
  ["environment", (secret) => `PGPASSWORD=${secret}`],
  ["unit environment", (secret) => `Environment="DB_PASS=${secret}"`],
  ["zh password", (secret) => `登录失败，用户密码：${secret}`],
  ["zh sentence", (secret) => `初始口令为${secret}，请修改`],
  ["zh key", (secret) => `设备密钥 ${secret}`],
  ["camel case", (secret) => `clientSecret=${secret};timeout=30`],
  ["connection string", (secret) => `Server=10.0.0.7;Uid=app;Pwd=${secret};Encrypt=yes`],
  ["Authorization Bearer", (secret) => `Authorization: Bearer ${secret}.part`],
  ["Authorization Basic", (secret) => `> authorization: Basic ${secret}==`],
  ["Proxy-Authorization", (secret) => `Proxy-Authorization: Token ${secret}`],
  ["Cookie", (secret) => `Cookie: theme=dark; JSESSIONID=${secret}`],
  ["Set-Cookie", (secret) => `Set-Cookie: sid=${secret}; Path=/; HttpOnly`],
  ["API key header", (secret) => `X-Api-Key: ${secret}`],
  ["Bearer in a sentence", (secret) => `rejected bearer ${secret} of client 7`],
  ["JWT", (secret) => `token eyJhbGciOiJIUzI1NiJ9.${secret}.c2lnbmF0dXJl expired`],
  ["AWS key id", (secret) => `using AKIA${secret.toUpperCase()}ABCD for upload`],
  ["GitHub token", (secret) => `clone with ghp_${secret}0123456789abcdef failed`],
  ["URL user info", (secret) => `pull rtsp://admin:${secret}@10.0.0.17:554/ch1 failed`],
  ["URL with odd signs", (secret) => `pull rtsp://admin:a@/${secret}#?@10.0.0.17:554/ch1`],
  ["URL, token as user", (secret) => `https://${secret}@git.example/app.git`],
  ["URL cut off", (secret) => `postgres://app:${secret}`],
  ["user info without scheme", (secret) => `ftp app:${secret}@10.0.0.7`],
  ["SNMP community", (secret) => `rocommunity ${secret}`],
  ["SNMP flag", (secret) => `snmpwalk -v2c -c ${secret} 10.0.0.1 sysUpTime`],
  ["shadow hash", (secret) => `root:$6$saltsalt$${secret}abcdefgh:19000:0:99999:7:::`],
  ["bcrypt", (secret) => `app:$2b$10$${secret}abcdefghijkl`],
  ["SSHA", (secret) => `userPassword:: {SSHA}${secret}abcd==`],
  ["private key", (secret) => `-----BEGIN RSA PRIVATE KEY-----\\nMIIE${secret}\\n-----END RSA PRIVATE KEY-----`],
  ["SQL", (secret) => `CREATE USER app IDENTIFIED BY '${secret}'`],
  ["full width", (secret) => `ｐａｓｓｗｏｒｄ＝${secret}`],
  ["wpa passphrase", (secret) => `wpa_passphrase=${secret}`],
  ["redis", (secret) => `requirepass ${secret}`],
];

const numbers: readonly Canary[] = [
  { kind: "resident ID", text: "实名登记 11010519491231002X 失败", secret: "11010519491231002X" },
  { kind: "resident ID in groups", text: "id 440308 19990101 0012 ok", secret: "440308 19990101 0012" },
  {
    kind: "resident ID, full width",
    text: "证件 ４４０３０８１９９９０１０１００１２ 无效",
    secret: "４４０３０８１９９９０１０１００１２",
  },
  { kind: "old resident ID", text: "no 130503670401001 found", secret: "130503670401001" },
  { kind: "mobile", text: "短信发送到 13912345678 失败", secret: "13912345678" },
  { kind: "mobile with country", text: "call +86 139-1234-8765 refused", secret: "139-1234-8765" },
  { kind: "landline", text: "值班 010-62345678 无人接听", secret: "62345678" },
  { kind: "bank card", text: "card 4111 1111 1111 1111 declined", secret: "4111 1111 1111 1111" },
  { kind: "e-mail", text: "notify kanarie.mail@station.example failed", secret: "kanarie.mail@station.example" },
  { kind: "passport", text: "护照号 E87654321 核验失败", secret: "E87654321" },
  { kind: "licence plate", text: "车辆 京A·K7Q23 进入", secret: "京A·K7Q23" },
  {
    kind: "random token",
    text: "refused 9fKd82LmQz7WpX4vB1nRt6YcH3sGj5Ua once",
    secret: "9fKd82LmQz7WpX4vB1nRt6YcH3sGj5Ua",
  },
];

/** Names the site lists. */
export const SITE_WORDS: readonly string[] = ["欧阳丹青", "KanarieVoornaam"];
const names: readonly Canary[] = [
  { kind: "listed name", text: "讯问 欧阳丹青 开始录像", secret: "欧阳丹青", listed: true },
  { kind: "listed name, Latin", text: "open /rec/KANARIEvoornaam.mp4", secret: "KANARIEvoornaam", listed: true },
  {
    kind: "listed name, URL-encoded",
    text: "GET /f?n=%E6%AC%A7%E9%98%B3%E4%B8%B9%E9%9D%92",
    secret: "%E6%AC%A7%E9%98%B3%E4%B8%B9%E9%9D%92",
    listed: true,
  },
  {
    kind: "listed name, escaped",
    text: RAW`{"n":"\u6b27\u9633\u4e39\u9752"}`,
    secret: RAW`\u6b27\u9633\u4e39\u9752`,
    listed: true,
  },
];

/** More than fifty kinds of secrets, each in a line as devices write it. */
export const CANARIES: readonly Canary[] = [
  ...kinds.map(([kind, make], i): Canary => {
    const secret = word(i);
    const text = make(secret);
    return { kind, text, secret: text.includes(secret) ? secret : secret.toUpperCase() };
  }),
  ...numbers,
  ...names,
];

/** The spellings under which a secret could have slipped through. */
export function spellings({ secret }: Canary): string[] {
  const unicode = [...secret].map((one) => {
    const code = one.charCodeAt(0);
    return code < 0x80 ? one : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  const base64 = [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    return bytes.toString("base64").slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
  });
  const half = secret.normalize("NFKC");
  return [
    ...new Set([
      secret,
      half,
      encodeURIComponent(secret),
      unicode.join(""),
      JSON.stringify(secret).slice(1, -1),
      ...base64,
    ]),
  ];
}

/** The kinds of canaries of which any spelling stands in `bytes`, in any case. */
export function canariesIn(bytes: Uint8Array, canaries: readonly Canary[] = CANARIES): string[] {
  const text = Buffer.from(bytes).toString("utf8");
  const lower = text.toLowerCase();
  return canaries
    .filter((canary) =>
      spellings(canary).some((spelling) => text.includes(spelling) || lower.includes(spelling.toLowerCase())),
    )
    .map(({ kind }) => kind);
}
