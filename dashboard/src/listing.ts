// A section that is one table over one list route.
import type { List } from "./api";
import { count } from "./format";
import type { Refresher } from "./refresh";
import { Section } from "./section";
import { Table, type TableOptions } from "./table";

export interface Listing<T> {
  id: string;
  path: () => string;
  table: TableOptions<T>;
  /** Words beside the title; without it the number of rows. */
  note?: (list: List<T>) => string;
}

/** Makes it and asks its route. */
export function listing<T>(refresher: Refresher, { id, path, table: options, note }: Listing<T>): Section {
  const table = new Table<T>(options);
  const section = new Section(id, options.caption, options.searchable ? table.filterField() : null);
  section.body.append(table.element);
  const show = (list: List<T>): void => {
    section.say(note ? note(list) : count(list.total));
    table.update(list.items, list.total);
  };
  refresher.add(section.source(path, show));
  return section;
}
