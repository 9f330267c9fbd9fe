// A section that is one table over one list route.
import type { List } from "./api";
import type { Feed } from "./feed";
import { count } from "./format";
import { Section } from "./section";
import { Table, type TableOptions } from "./table";

export interface Listing<T> {
  /** As the stream knows the route; `path` without a stream. */
  route: string;
  path: () => string;
  /** Only these fields of each row. */
  fields?: readonly string[];
  table: TableOptions<T>;
  /** What the table shows of the rows, if more than they are. */
  rows?: (rows: T[]) => T[];
  /** Words beside the title; without it the number of rows. */
  note?: (list: List<T>) => string;
}

/** Makes it and follows its route. */
export function listing<T>(feed: Feed, { route, path, fields, table: options, rows, note }: Listing<T>): Section {
  const table = new Table<T>(options);
  const section = new Section(options.id, options.caption, options.searchable ? table.filterField() : null);
  section.body.append(table.element);
  const show = (list: List<T>): void => {
    section.say(note ? note(list) : count(list.total));
    table.update(rows ? rows(list.items) : list.items, list.total);
  };
  feed.add(section.source({ route, path, ...(fields ? { fields } : {}), show }));
  return section;
}
