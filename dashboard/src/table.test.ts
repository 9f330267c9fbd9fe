import { beforeEach, expect, it } from "vitest";
import { Table, drawn } from "./table";

interface Row {
  name: string;
  ms: number | null;
}
let table: Table<Row>;

const newTable = (): Table<Row> =>
  new Table<Row>({
    id: "rows",
    caption: "Rows",
    columns: [
      { key: "name", label: "Name", value: (row) => row.name, text: (row) => row.name, hint: (row) => row.name },
      { key: "ms", label: "Time", numeric: true, value: (row) => row.ms, text: (row) => (row.ms === null ? "–" : `${row.ms} ms`) },
    ],
    keyOf: (row) => row.name,
    empty: "Nothing.",
    pageSize: 2,
    searchable: (row) => row.name,
    details: drawn((row) => [`all about ${row.name}`]),
  });

beforeEach(() => {
  history.replaceState(null, "", location.pathname);
  table = newTable();
  document.body.replaceChildren(table.element);
});

const texts = (): string[] =>
  [...table.element.querySelectorAll("tbody tr:not(.details) td:first-child")].map((cell) => cell.textContent ?? "");
const button = (label: string): HTMLButtonElement =>
  [...table.element.querySelectorAll("button")].find(({ textContent }) => textContent?.includes(label)) as HTMLButtonElement;

it("writes hostile text as text", () => {
  const name = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>';
  table.update([{ name, ms: 1 }]);
  button("<img").click();
  expect(texts()).toEqual([name]);
  expect(table.element.querySelector(".details")?.textContent).toBe(`all about ${name}`);
  expect(table.element.querySelector("img, script")).toBeNull();
});

it("keeps rows, focus and open details over refreshes and new orders", () => {
  table.update([
    { name: "a", ms: 1 },
    { name: "b", ms: 2 },
  ]);
  const toggle = button("b");
  toggle.click();
  toggle.focus();
  table.update([
    { name: "b", ms: 9 },
    { name: "a", ms: null },
  ]);
  expect(button("b")).toBe(toggle);
  expect(document.activeElement).toBe(toggle);
  expect(toggle.getAttribute("aria-expanded")).toBe("true");
  expect(texts()).toEqual(["b", "a"]);
  expect(table.element.querySelectorAll(".details")).toHaveLength(1);
  expect([...table.element.querySelectorAll("td.number")].map((cell) => [cell.textContent, cell.getAttribute("data-value")])).toEqual([
    ["9 ms", "9"],
    ["–", null],
  ]);
});

it("sorts by its headers and says so", () => {
  table.update([
    { name: "a", ms: 1 },
    { name: "b", ms: 2 },
  ]);
  button("Time").click();
  expect(texts()).toEqual(["b", "a"]);
  expect(button("Time").closest("th")?.getAttribute("aria-sort")).toBe("descending");
  button("Time").click();
  expect(texts()).toEqual(["a", "b"]);
  expect(button("Name").closest("th")?.hasAttribute("aria-sort")).toBe(false);
});

it("turns pages and filters over all of them", () => {
  table.update(
    ["a", "b", "c", "d", "e"].map((name, ms) => ({ name, ms })),
    900,
  );
  expect(table.element.querySelector(".pages")?.textContent).toBe("Page 1 of 3 · 5 rows of 900");
  button("Next").click();
  expect(texts()).toEqual(["c", "d"]);
  const field = table.filterField();
  field.value = "E";
  field.dispatchEvent(new Event("input"));
  expect(texts()).toEqual(["e"]);
  field.value = "nowhere";
  field.dispatchEvent(new Event("input"));
  expect(table.element.querySelector(".empty")?.textContent).toBe("No row matches the filter.");
});

it("says that there is nothing", () => {
  expect(table.element.querySelector<HTMLElement>(".empty")?.hidden).toBe(false);
  table.update([{ name: "a", ms: 1 }]);
  expect(table.element.querySelector<HTMLElement>(".empty")?.hidden).toBe(true);
});

it("keeps sort, filter and open rows in the address, and takes them from it", () => {
  const rows = ["shop a", "shop b", "other"].map((name, ms) => ({ name, ms }));
  const field = table.filterField();
  table.update(rows);
  button("Time").click();
  button("shop b").click();
  field.value = "shop";
  field.dispatchEvent(new Event("input"));
  expect(location.search).toBe("?rows.sort=-ms&rows.open=shop+b&rows.filter=shop");
  table = newTable();
  table.update(rows);
  expect([texts(), table.filterField().value]).toEqual([["shop b", "shop a"], "shop"]);
  expect(table.element.querySelector(".details")?.textContent).toBe("all about shop b");
  button("shop b").click();
  expect(new URLSearchParams(location.search).has("rows.open")).toBe(false);
});

it("ignores a sort in the address that no column has", () => {
  history.replaceState(null, "", "?rows.sort=-colour");
  table = newTable();
  table.update([{ name: "a", ms: 1 }]);
  expect(table.element.querySelector("[aria-sort]")).toBeNull();
});
