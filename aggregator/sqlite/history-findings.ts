import type { Finding, FindingKey } from "../history-store.ts";
import type { Cell, Sql } from "./sql.ts";

/** What trends were found, one row each; whole as JSON, for it is read and written as one. */
export function findings(
  sql: Sql,
  { device }: { device?: string },
  { after, limit }: { after?: FindingKey; limit: number },
): Finding[] {
  const cells: Cell[] = [after?.device ?? "", after?.code ?? "", after?.figure ?? ""];
  const own = device === undefined ? "" : "AND device = ?";
  if (device !== undefined) cells.push(device);
  const where = `WHERE (device, code, figure) > (?, ?, ?) ${own} ORDER BY device, code, figure LIMIT ?`;
  return sql
    .all(`SELECT finding FROM finding ${where}`, ...cells, limit)
    .map((row) => JSON.parse(String(row["finding"])) as Finding);
}

export function finding(sql: Sql, { device, code, figure }: FindingKey): Finding | undefined {
  const text = "SELECT finding FROM finding WHERE device = ? AND code = ? AND figure = ?";
  const row = sql.get(text, device, code, figure);
  return row && (JSON.parse(String(row["finding"])) as Finding);
}

export function saveFindings(sql: Sql, all: readonly Finding[]): void {
  const text = "INSERT OR REPLACE INTO finding (device, code, figure, finding) VALUES (?, ?, ?, ?)";
  for (const one of all) sql.run(text, one.device, one.code, one.figure, JSON.stringify(one));
}

export function dropFindings(sql: Sql, keys: readonly FindingKey[]): void {
  const text = "DELETE FROM finding WHERE device = ? AND code = ? AND figure = ?";
  for (const { device, code, figure } of keys) sql.run(text, device, code, figure);
}
