// What a table shows, without a DOM: rows filtered, sorted and cut into pages.

/** A value to sort by; null sorts last in either direction. */
export type SortValue = number | string | null | undefined;

export interface SortKey {
  column: string;
  descending: boolean;
}

export interface Page<T> {
  rows: T[];
  /** From 0. */
  page: number;
  pages: number;
  /** Rows that match the filter. */
  matching: number;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Compares for ascending order; what is not known comes last, so it is handled before the direction. */
export function compare(a: SortValue, b: SortValue, descending: boolean): number {
  const aMissing = a === null || a === undefined;
  const bMissing = b === null || b === undefined;
  if (aMissing || bMissing) return Number(aMissing) - Number(bMissing);
  const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return descending ? -order : order;
}

/** Rows that contain every word of the filter, in any case. */
export function filterRows<T>(rows: readonly T[], filter: string, searchable: (row: T) => string): T[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [...rows];
  return rows.filter((row) => {
    const text = searchable(row).toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** Sorted copy; rows that compare equal keep the API's order. Null = the API's order. */
export function sortRows<T>(rows: readonly T[], key: SortKey | null, valueOf: (row: T, column: string) => SortValue): T[] {
  if (!key) return [...rows];
  const keyed = rows.map((row) => ({ row, value: valueOf(row, key.column) }));
  return keyed.sort((a, b) => compare(a.value, b.value, key.descending)).map(({ row }) => row);
}

/** One page; a page that no longer exists becomes the last one. */
export function paginate<T>(rows: readonly T[], page: number, size: number): Page<T> {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const current = Math.min(Math.max(0, page), pages - 1);
  return { rows: rows.slice(current * size, (current + 1) * size), page: current, pages, matching: rows.length };
}

/** The sort after a click on a header: numbers begin with the largest, text with A; the second click turns it round. */
export function nextSort(current: SortKey | null, column: string, numeric: boolean): SortKey {
  if (current?.column === column) return { column, descending: !current.descending };
  return { column, descending: numeric };
}
