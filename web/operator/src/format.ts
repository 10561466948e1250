// Numbers and times, as people read them.

const locale = "en-GB";
const whole = new Intl.NumberFormat(locale);

/** count is a number of things, all digits shown. */
export function count(n: number | bigint): string {
  return whole.format(n);
}

/** things is a number of things with their name, which ends with "s" for all but one, unless it is told. */
export function things(n: number, one: string, many = one + "s"): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** bytes is a size in powers of 1,024, as the commands print it. */
export function bytes(n: number | bigint): string {
  let size = Number(n);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? whole.format(size) : size.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} ${units[unit]}`;
}

/** share is a part of a whole in per cent; what is neither nothing nor everything never reads as if it were. */
export function share(part: number, all: number): string {
  if (all === 0) return "none";
  const percent = (100 * part) / all;
  if (percent > 0 && percent < 0.1) return "under 0.1 %";
  if (percent < 100 && percent > 99.9) return "over 99.9 %";
  return `${percent.toLocaleString(locale, { maximumFractionDigits: 1 })} %`;
}

/** duration is a length of time, in at most two units. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 1) return ms === 0 ? "0 s" : "under 1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toLocaleString(locale, { maximumFractionDigits: ms < 9_950 ? 1 : 0 })} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(ms / 3_600_000);
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(a: number, big: string, b: number, small: string): string {
  return b === 0 ? `${a} ${big}` : `${a} ${big} ${b} ${small}`;
}

/** ago is how long before now a time was, or how long after. */
export function ago(at: Date, now: Date): string {
  const ms = now.getTime() - at.getTime();
  if (Math.abs(ms) < 1000) return "now";
  const steady = Math.abs(ms) < 60_000 ? Math.floor(Math.abs(ms) / 1000) * 1000 : Math.abs(ms);
  return ms > 0 ? `${duration(steady)} ago` : `in ${duration(steady)}`;
}

const sameYear = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherYear = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

/** time is a moment on this machine's clock. */
export function time(at: Date, now = new Date()): string {
  return (at.getFullYear() === now.getFullYear() ? sameYear : otherYear).format(at);
}

const dayAndHour = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

/** hour is when an hour of the last days began. */
export function hour(at: Date): string {
  return dayAndHour.format(at);
}
