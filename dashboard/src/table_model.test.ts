import { describe, expect, it } from "vitest";
import { filterRows, nextSort, paginate, sortRows } from "./table_model";

const rows = [
  { name: "b10", ms: 5 },
  { name: "b9", ms: null },
  { name: "A", ms: 20 },
];
const valueOf = (row: (typeof rows)[number], column: string): number | string | null => (column === "ms" ? row.ms : row.name);
const names = (list: typeof rows): string[] => list.map(({ name }) => name);

describe("sorting", () => {
  it("puts what is not known last in both directions", () => {
    expect(names(sortRows(rows, { column: "ms", descending: true }, valueOf))).toEqual(["A", "b10", "b9"]);
    expect(names(sortRows(rows, { column: "ms", descending: false }, valueOf))).toEqual(["b10", "A", "b9"]);
  });
  it("reads numbers in names and ignores case", () => {
    expect(names(sortRows(rows, { column: "name", descending: false }, valueOf))).toEqual(["A", "b9", "b10"]);
  });
  it("keeps the order of the API without a key and among equals", () => {
    expect(names(sortRows(rows, null, valueOf))).toEqual(["b10", "b9", "A"]);
    expect(names(sortRows(rows, { column: "none", descending: true }, () => 1))).toEqual(["b10", "b9", "A"]);
  });
  it("turns round at the second click, begins with the largest figure and with A", () => {
    expect(nextSort(null, "ms", true)).toEqual({ column: "ms", descending: true });
    expect(nextSort({ column: "ms", descending: true }, "ms", true)).toEqual({ column: "ms", descending: false });
    expect(nextSort({ column: "ms", descending: true }, "name", false)).toEqual({ column: "name", descending: false });
  });
});

it("filters by every word in any case and order", () => {
  const list = ["shop GET /cart", "shop POST /checkout", "nginx GET /"];
  expect(filterRows(list, " post SHOP ", (row) => row)).toEqual(["shop POST /checkout"]);
  expect(filterRows(list, "", (row) => row)).toEqual(list);
  expect(filterRows(list, "shop delete", (row) => row)).toEqual([]);
});

it("goes to the last page when the chosen one is gone", () => {
  const list = [1, 2, 3, 4, 5];
  expect(paginate(list, 1, 2)).toEqual({ rows: [3, 4], page: 1, pages: 3, matching: 5 });
  expect(paginate(list, 9, 2)).toEqual({ rows: [5], page: 2, pages: 3, matching: 5 });
  expect(paginate([], 3, 2)).toEqual({ rows: [], page: 0, pages: 1, matching: 0 });
});
