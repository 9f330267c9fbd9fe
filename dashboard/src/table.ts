// A table that is refreshed each second without disturbing its reader: rows are kept by key, only texts that changed are written, and
// focus, selection, open details, sort, filter and page survive. Columns step aside in narrow cards; details then show them. Sort, filter
// and open rows stand in the page's address.
import { choose, chosen } from "./address";
import { type Child, arrange, fill, h, setAttribute, setText } from "./dom";
import { type SortKey, type SortValue, filterRows, nextSort, paginate, sortRows } from "./table_model";

/** How wide a card must be for a column: any, half a desktop, most of a desktop. */
export type Room = "always" | "medium" | "wide";

export interface Column<T> {
  key: string;
  label: string;
  /** Explains the column, with its unit. */
  title?: string;
  /** Right-aligned figures; sorted with the largest first. */
  numeric?: boolean;
  room?: Room;
  value: (row: T) => SortValue;
  /** How the value is written. */
  text: (row: T) => string;
  /** Exact value as a tooltip. */
  hint?: (row: T) => string | null;
  /** Colour by meaning. */
  tone?: (row: T) => "good" | "watch" | "bad" | "quiet" | null;
  /** 0..1 as a bar behind the figure. */
  bar?: (row: T) => number | null;
}

/** What an opened row shows. */
export interface Details<T> {
  element: HTMLElement;
  /** The row as it is now. */
  update: (row: T) => void;
}

export interface TableOptions<T> {
  /** Its name in the page's address. */
  id: string;
  caption: string;
  columns: Column<T>[];
  keyOf: (row: T) => string;
  /** Shown in place of rows when there are none. */
  empty: string;
  sort?: SortKey;
  pageSize?: number;
  /** With it the table gets a filter field. */
  searchable?: (row: T) => string;
  /** With it each row can be opened. */
  details?: () => Details<T>;
}

/** Details that are drawn from the row alone. */
export function drawn<T>(draw: (row: T) => Child[]): () => Details<T> {
  return () => {
    const element = h("div", {});
    return { element, update: (row) => fill(element, ...draw(row)) };
  };
}

interface Line<T> {
  row: HTMLTableRowElement;
  cells: HTMLTableCellElement[];
  toggle: HTMLButtonElement | null;
  details: { row: HTMLTableRowElement; content: Details<T> } | null;
}

/** `-p95_ms` = by `p95_ms`, the largest first. */
function sortOf(text: string | undefined, columns: readonly { key: string }[]): SortKey | null {
  const column = text?.replace(/^-/, "");
  return columns.some(({ key }) => key === column) ? { column: column as string, descending: text?.startsWith("-") === true } : null;
}

const PAGE_SIZE = 25;

export class Table<T> {
  readonly element = h("div", { class: "table" });
  #rows: T[] = [];
  #total = 0;
  #sort: SortKey | null;
  #filter = "";
  #page = 0;
  #open = new Set<string>();
  #lines = new Map<string, Line<T>>();
  #body = h("tbody");
  #headers = new Map<string, HTMLTableCellElement>();
  #empty = h("p", { class: "empty" });
  #status = h("span", { class: "pages", role: "status" });
  #previous = this.#pageButton("‹ Previous", -1);
  #next = this.#pageButton("Next ›", 1);
  #pager = h("div", { class: "pager" }, this.#previous, this.#status, this.#next);
  #table: HTMLTableElement;

  constructor(private readonly options: TableOptions<T>) {
    this.#sort = sortOf(chosen(`${options.id}.sort`)[0], options.columns) ?? options.sort ?? null;
    this.#filter = (options.searchable && chosen(`${options.id}.filter`)[0]) || "";
    if (options.details) for (const key of chosen(`${options.id}.open`)) this.#open.add(key);
    const head = h("tr", {}, ...options.columns.map((column) => this.#header(column)));
    this.#table = h("table", {}, h("caption", { class: "hidden" }, options.caption), h("thead", {}, head), this.#body);
    this.element.append(h("div", { class: "scroll" }, this.#table), this.#empty, this.#pager);
    this.#draw();
  }

  /** A filter field for the heading of the section, when the table can be searched. */
  filterField(): HTMLInputElement {
    return h("input", {
      "type": "search",
      "class": "filter",
      "placeholder": "Filter",
      "value": this.#filter === "" ? null : this.#filter,
      "aria-label": `Filter: ${this.options.caption}`,
      "spellcheck": "false",
      "autocomplete": "off",
      "on": { input: (event) => this.#filterBy((event.currentTarget as HTMLInputElement).value) },
    });
  }

  /** Shows these rows; `total` when the API has more of them. */
  update(rows: T[], total = rows.length): void {
    this.#rows = rows;
    this.#total = total;
    this.#draw();
  }

  #filterBy(filter: string): void {
    this.#filter = filter;
    this.#page = 0;
    choose(`${this.options.id}.filter`, filter.trim() === "" ? [] : [filter]);
    this.#draw();
  }

  #header(column: Column<T>): HTMLTableCellElement {
    const sortBy = (): void => {
      this.#sort = nextSort(this.#sort, column.key, column.numeric === true);
      this.#page = 0;
      choose(`${this.options.id}.sort`, [`${this.#sort.descending ? "-" : ""}${this.#sort.column}`]);
      this.#draw();
    };
    const button = h("button", { type: "button", class: "sort", title: column.title, on: { click: sortBy } }, column.label);
    const cell = h("th", { scope: "col", class: cellClass(column) }, button);
    this.#headers.set(column.key, cell);
    return cell;
  }

  #pageButton(label: string, step: number): HTMLButtonElement {
    const turn = (): void => {
      this.#page += step;
      this.#draw();
    };
    return h("button", { type: "button", class: "quiet", on: { click: turn } }, label);
  }

  #draw(): void {
    const { columns, keyOf, pageSize, searchable, empty } = this.options;
    const found = searchable ? filterRows(this.#rows, this.#filter, searchable) : this.#rows;
    const sorted = sortRows(found, this.#sort, (row, key) => columns.find((column) => column.key === key)?.value(row));
    const view = paginate(sorted, this.#page, pageSize ?? PAGE_SIZE);
    this.#page = view.page;
    for (const [key, cell] of this.#headers) {
      setAttribute(cell, "aria-sort", this.#sort?.column === key ? (this.#sort.descending ? "descending" : "ascending") : null);
    }
    const before = this.#lines;
    this.#lines = new Map();
    const shown: Element[] = [];
    for (const row of view.rows) {
      const key = keyOf(row);
      const line = before.get(key) ?? this.#newLine(key);
      this.#lines.set(key, line);
      this.#write(line, row, key);
      shown.push(line.row);
      if (line.details) shown.push(line.details.row);
    }
    arrange(this.#body, shown);
    this.#table.hidden = view.rows.length === 0;
    setText(this.#empty, this.#rows.length > 0 ? "No row matches the filter." : empty);
    this.#empty.hidden = view.rows.length > 0;
    this.#drawPager(view.page, view.pages, view.matching);
  }

  #drawPager(page: number, pages: number, matching: number): void {
    const cut = this.#total > this.#rows.length ? ` of ${this.#total}` : "";
    setText(this.#status, `Page ${page + 1} of ${pages} · ${matching} row${matching === 1 ? "" : "s"}${cut}`);
    this.#pager.hidden = pages === 1 && cut === "";
    this.#previous.disabled = page === 0;
    this.#next.disabled = page === pages - 1;
  }

  #newLine(key: string): Line<T> {
    const toggleOpen = (): void => {
      if (!this.#open.delete(key)) this.#open.add(key);
      choose(`${this.options.id}.open`, [...this.#open]);
      this.#draw();
    };
    const toggle = this.options.details ? h("button", { type: "button", class: "toggle", on: { click: toggleOpen } }) : null;
    const cells = this.options.columns.map((column) => h("td", { class: cellClass(column) }));
    if (toggle) cells[0]?.append(toggle);
    return { row: h("tr", {}, ...cells), cells, toggle, details: null };
  }

  #write(line: Line<T>, row: T, key: string): void {
    this.options.columns.forEach((column, index) => {
      const cell = line.cells[index];
      if (cell) writeCell(index === 0 && line.toggle ? line.toggle : cell, cell, column, row);
    });
    if (!line.toggle || !this.options.details) return;
    const open = this.#open.has(key);
    setAttribute(line.toggle, "aria-expanded", String(open));
    setAttribute(line.row, "class", open ? "open" : null);
    if (!open) {
      line.details = null;
      return;
    }
    if (!line.details) {
      const content = this.options.details();
      const cell = h("td", { colspan: String(this.options.columns.length) }, content.element);
      line.details = { row: h("tr", { class: "details" }, cell), content };
    }
    line.details.content.update(row);
  }
}

function cellClass<T>(column: Column<T>): string | null {
  const names = [column.numeric ? "number" : "", column.room && column.room !== "always" ? column.room : ""].filter(Boolean);
  return names.length > 0 ? names.join(" ") : null;
}

function writeCell<T>(target: HTMLElement, cell: HTMLTableCellElement, column: Column<T>, row: T): void {
  setText(target, column.text(row));
  const value = column.value(row);
  setAttribute(cell, "data-column", column.key);
  setAttribute(cell, "data-value", value);
  setAttribute(cell, "title", column.hint?.(row));
  setAttribute(cell, "data-tone", column.tone?.(row));
  if (column.bar) cell.style.setProperty("--bar", `${Math.round((column.bar(row) ?? 0) * 100)}%`);
}
