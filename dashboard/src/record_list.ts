// A list of records below an opened row: the newest ones, each opens to all that is known of it and, where it has some, its own parts.
// Asked when it is first shown and then every few seconds; records that are open stay open.
import type { AnyRecord, List } from "./api";
import { get } from "./client";
import { arrange, fill, h, setText } from "./dom";
import { factList } from "./facts";

export interface RecordListOptions {
  title: string;
  /** Where the records are. */
  path: () => string;
  /** A record in one line. */
  line: (record: AnyRecord) => string;
  /** Whether it stands out. */
  bad: (record: AnyRecord) => boolean;
  /** What it consists of, asked when it is opened. */
  parts?: (record: AnyRecord) => RecordList[];
}

const AGAIN_MS = 3_000;
/** Said elsewhere, or of no use to a reader. */
const LEFT_OUT = ["kind"];

export class RecordList {
  readonly element: HTMLElement;
  #list = h("ul", { class: "records" });
  #note = h("p", { class: "note" }, "Loading…");
  #items = new Map<string, { element: HTMLLIElement; summary: HTMLElement; update: (record: AnyRecord) => void }>();
  #asked = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: RecordListOptions) {
    this.element = h("div", { class: "record-list" }, h("h4", {}, options.title), this.#note, this.#list);
  }

  /** Asks, unless that was done just now. */
  refresh(now = performance.now()): void {
    if (now - this.#asked < AGAIN_MS) return;
    this.#asked = now;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      const { items } = await get<List<AnyRecord>>(this.options.path());
      this.show(items);
    } catch (error) {
      setText(this.#note, `Not available: ${error instanceof Error ? error.message : String(error)}.`);
      this.#note.hidden = false;
    }
  }

  /** Shows these records. */
  show(records: readonly AnyRecord[]): void {
    const before = this.#items;
    this.#items = new Map();
    for (const record of records) {
      const key = recordKey(record);
      const item = before.get(key) ?? this.#newItem();
      item.update(record);
      this.#items.set(key, item);
    }
    arrange(
      this.#list,
      [...this.#items.values()].map(({ element }) => element),
    );
    setText(this.#note, "None in memory.");
    this.#note.hidden = records.length > 0;
  }

  #newItem(): { element: HTMLLIElement; summary: HTMLElement; update: (record: AnyRecord) => void } {
    const summary = h("summary", {});
    const body = h("div", { class: "record" });
    const fold = h("details", {}, summary, body);
    let record: AnyRecord | null = null;
    let parts: RecordList[] | null = null;
    const draw = (): void => {
      if (!fold.open || record === null) return;
      parts ??= this.options.parts?.(record) ?? [];
      for (const part of parts) part.refresh();
      fill(body, factList(record, LEFT_OUT), ...parts.map(({ element }) => element));
    };
    fold.addEventListener("toggle", draw);
    const update = (now: AnyRecord): void => {
      const same = record !== null && JSON.stringify(record) === JSON.stringify(now);
      record = now;
      setText(summary, this.options.line(now));
      fold.classList.toggle("bad", this.options.bad(now));
      if (!same) draw();
    };
    return { element: h("li", {}, fold), summary, update };
  }
}

function recordKey(record: AnyRecord): string {
  return [record.kind, record.time, record["span_id"] ?? record["agent_run_id"] ?? record["tool_call_id"] ?? "", record["pid"]].join(" ");
}
