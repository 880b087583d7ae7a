/** Days and times of day as the desk has them. Pure but for the time zone's rules. */

/** Days since a day long ago, for differences; `date` as `2026-11-22`. */
export function dayNumber(date: string): number {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  const years = year - (month <= 2 ? 1 : 0); // a year from March on: its leap day is its last
  const months = (month + 9) % 12;
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return years * 365 + leaps + Math.floor((153 * months + 2) / 5) + day;
}

/** The date so many days before or after. */
export function dateAfter(date: string, days: number): string {
  const wanted = dayNumber(date) + days;
  let year = Number(date.slice(0, 4)) + Math.trunc(days / 366);
  while (dayNumber(dateOf(year + 1, 1, 1)) <= wanted) year += 1;
  while (dayNumber(dateOf(year, 1, 1)) > wanted) year -= 1;
  let month = 12;
  while (dayNumber(dateOf(year, month, 1)) > wanted) month -= 1;
  return dateOf(year, month, wanted - dayNumber(dateOf(year, month, 1)) + 1);
}

const dateOf = (year: number, month: number, day: number): string =>
  `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;

/** Date and seconds of the day in a time zone (IANA name). */
export function localDay(timeZone: string): (at: number) => { date: string; second: number } {
  const format = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone, year: "numeric", month: "2-digit", day: "2-digit" },
    ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  });
  return (at) => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = part;
    return { date: dateOf(year, month, day), second: hour * 3600 + minute * 60 + second };
  };
}
