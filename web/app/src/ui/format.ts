const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export const when = (ms: number): string => moment.format(ms);
export const onDay = (ms: number): string => day.format(ms);

const units = ["bytes", "KB", "MB", "GB", "TB"];

/** bytes says a size in units of 1,000, as disks are sold. */
export function bytes(n: number): string {
  let at = 0;
  while (n >= 999.5 && at < units.length - 1) {
    n /= 1000;
    at++;
  }
  return `${at === 0 || n >= 100 ? Math.round(n) : n.toPrecision(2)} ${units[at]}`;
}

export const many = (n: number, one: string, more: string): string => (n === 1 ? `1 ${one}` : `${n.toLocaleString()} ${more}`);
