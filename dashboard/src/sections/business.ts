// Business metrics of the configuration: a row for each series, over the last five minutes. Hidden where none is configured.
import type { BusinessMetric, List } from "../api";
import { counted, name } from "../columns";
import type { Feed } from "../feed";
import { bytes, count, decimal, duration, percent, rate, usd } from "../format";
import { Section } from "../section";
import { type Column, Table } from "../table";

/** A series of a metric. */
export interface BusinessRow {
  metric: string;
  definition: string;
  labels: string;
  unit: string | null;
  value: number | null;
  count: number;
}

/** The series of all metrics; a metric that counted nothing yet has a row all the same. */
export function businessRows(metrics: readonly BusinessMetric[]): BusinessRow[] {
  return metrics.flatMap(({ metric, definition, unit, series }) => {
    const shown = series.length > 0 ? series : [{ labels: {}, value: null, count: 0 }];
    return shown.map(({ labels, value, count: records }) => ({
      metric: metric.replace(/^custom\./, ""),
      definition,
      labels: Object.entries(labels)
        .map(([label, text]) => `${label} ${text}`)
        .join(", "),
      unit,
      value,
      count: records,
    }));
  });
}

const UNITS: Record<string, (value: number | null) => string> = { ms: duration, bytes, usd, percent, ratio: rate, tokens: count };

/** A value with its unit. */
export function businessValue({ unit, value }: BusinessRow): string {
  if (unit !== null && UNITS[unit]) return UNITS[unit](value);
  return value !== null && Number.isInteger(value) ? count(value) : decimal(value);
}

const COLUMNS: Column<BusinessRow>[] = [
  { ...name<BusinessRow>("metric", "Metric", (row) => row.metric), hint: (row) => row.definition },
  name("labels", "Labels", (row) => row.labels),
  {
    key: "value",
    label: "Value",
    title: "Over the last five minutes; – means that nothing was measured",
    numeric: true,
    value: (row) => row.value,
    text: businessValue,
    hint: (row) => (row.value === null ? null : `${row.value}${row.unit === null ? "" : ` ${row.unit}`}`),
  },
  counted("count", "Records", "Records behind the value; of a ratio those of the whole", (row) => row.count, "medium"),
  name("definition", "What it is", (row) => row.definition, "wide"),
];

export function businessSection(feed: Feed): Section {
  const table = new Table<BusinessRow>({
    id: "business",
    caption: "Business metrics",
    columns: COLUMNS,
    keyOf: (row) => `${row.metric} ${row.labels}`,
    searchable: (row) => `${row.metric} ${row.labels}`,
    empty: "No business metrics.",
    pageSize: 10,
  });
  const section = new Section("business", "Business metrics", table.filterField());
  section.body.append(table.element);
  const show = ({ items }: List<BusinessMetric>): void => {
    section.element.hidden = items.length === 0;
    const rows = businessRows(items);
    section.say(count(rows.length));
    table.update(rows);
  };
  feed.add(section.source({ route: "metrics", path: () => "api/v1/metrics", show }));
  return section;
}
