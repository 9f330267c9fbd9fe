// Numbers as people read them. Null and undefined are "–": what is not known is not 0.

/** Shown for what is not known. */
export const UNKNOWN = "–";

type Num = number | null | undefined;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function known(value: Num): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Three significant digits, no more decimals than that needs: 0.123, 4.57, 45.7, 457, 4,570. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return whole.format(value);
  return value.toFixed(size >= 9.995 ? 1 : 2);
}

/** A count, exact: 12,345. */
export function count(value: Num): string {
  return known(value) ? whole.format(value) : UNKNOWN;
}

/** A count, short: 12.3 k, 4.57 M. */
export function compact(value: Num): string {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 9_999.5) return whole.format(value);
  if (size < 999_950) return `${short(value / 1e3)} k`;
  return size < 999_950_000 ? `${short(value / 1e6)} M` : `${short(value / 1e9)} G`;
}

/** A rate or mean: one or two decimals while small. */
export function decimal(value: Num): string {
  if (!known(value)) return UNKNOWN;
  return value === 0 ? "0" : short(value);
}

/** Milliseconds as a duration with the unit that fits: 0.42 ms, 845 ms, 1.24 s, 2 m 05 s, 3 h 10 m. */
export function duration(ms: Num): string {
  if (!known(ms)) return UNKNOWN;
  if (ms === 0) return "0 ms";
  if (ms < 0.01) return `${whole.format(ms * 1_000)} µs`;
  if (ms < 999.5) return `${short(ms)} ms`;
  if (ms < 59_950) return `${short(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m` : `${whole.format(minutes / 1_440)} d`;
}

/** 0..1 as percent; what is small but not 0 does not become 0. */
export function rate(value: Num): string {
  return known(value) ? percent(value * 100) : UNKNOWN;
}

/** 0..100 as percent. */
export function percent(value: Num): string {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "0 %";
  if (value > 0 && value < 0.01) return "< 0.01 %";
  // Not everything must not read as everything.
  if (value > 99.99 && value < 100) return "> 99.99 %";
  if (value >= 100) return `${whole.format(value)} %`;
  return `${value.toFixed(value < 1 || value > 99 ? 2 : 1)} %`;
}

/** Bytes with binary units: 512 B, 1.50 KiB, 12.3 MiB. */
export function bytes(value: Num): string {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1_023.5 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(size) : short(size)} ${units[unit]}`;
}

/** US dollars: cents from a dollar on, below that what three digits need. */
export function usd(value: Num): string {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "$0";
  if (value < 0.000_001) return "< $0.000001";
  if (value >= 1_000) return `$${whole.format(value)}`;
  return `$${value.toFixed(value >= 0.995 ? 2 : value >= 0.001 ? 4 : 6)}`;
}

/** Any text, or "–". */
export function text(value: string | null | undefined): string {
  return value === null || value === undefined || value === "" ? UNKNOWN : value;
}

/** Percent-encoded letters of a path as such, `/caf%C3%A9` → `/café`; what would hide or change its meaning (controls, spaces, `/`,
 * `%`, direction marks, broken encoding) stays encoded. */
export function path(encoded: string): string {
  return encoded.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return [...decodeURIComponent(run)]
        .map((letter) => (/[\p{L}\p{M}\p{N}\p{S}_.~!$'()*,;:@-]/u.test(letter) ? letter : encodeURIComponent(letter)))
        .join("");
    } catch {
      return run;
    }
  });
}

/** An API time as the reader's clock time, 14:03:07; "–" when it is none. */
export function clock(time: string | null | undefined): string {
  const date = new Date(time ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** A name of the API as words: `event_loop_blocked` → "event loop blocked". */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
