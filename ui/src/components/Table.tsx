/** A table with sortable columns; the sort key lives with the caller (mostly in the URL). */

import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { Icon } from "./Icon";

export interface Column<Row> {
  id: string;
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** What to sort by; a column without it is not sortable. */
  sort?: (row: Row) => number | string | null;
  numeric?: boolean;
  width?: string;
}

export interface Sorting {
  column: string;
  descending: boolean;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  sorting?: Sorting;
  onSort?: (sorting: Sorting) => void;
  testId?: string;
  compact?: boolean;
}

export function Table<Row>(props: Props<Row>) {
  const { sorting } = props;
  const rows = sorting ? sorted(props.rows, props.columns, sorting) : props.rows;
  return (
    <div class="table-scroll">
      <table
        class={`table ${props.compact ? "table-compact" : ""}`}
        aria-label={props.label}
        data-testid={props.testId}
      >
        <thead>
          <tr>
            {props.columns.map((column) => (
              <HeaderCell key={column.id} column={column} sorting={sorting} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={props.rowKey(row)}>
              {props.columns.map((column) => (
                <td key={column.id} class={column.numeric ? "numeric" : ""}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function HeaderCell<Row>(props: {
  column: Column<Row>;
  sorting: Sorting | undefined;
  onSort: ((sorting: Sorting) => void) | undefined;
}) {
  const { column, sorting, onSort } = props;
  const active = sorting?.column === column.id;
  const style = column.width ? { width: column.width } : {};
  if (!column.sort || !onSort) {
    return (
      <th scope="col" class={column.numeric ? "numeric" : ""} style={style}>
        {column.title}
      </th>
    );
  }
  const descending = active ? !sorting.descending : column.numeric === true;
  return (
    <th
      scope="col"
      class={column.numeric ? "numeric" : ""}
      style={style}
      aria-sort={active ? (sorting.descending ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        title={t("common.sortBy", { column: column.title })}
        class={active ? "sort-active" : ""}
        onClick={() => onSort({ column: column.id, descending })}
      >
        {column.title}
        <Icon name={active ? (sorting.descending ? "down" : "up") : "sort"} size={12} />
      </button>
    </th>
  );
}

/** Rows in order of a column; unknown values last either way, ties keep their order. */
export function sorted<Row>(rows: Row[], columns: Column<Row>[], sorting: Sorting): Row[] {
  const read = columns.find((column) => column.id === sorting.column)?.sort;
  if (!read) return rows;
  const direction = sorting.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [read(a), read(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    if (typeof x === "string" || typeof y === "string") return direction * String(x).localeCompare(String(y));
    return direction * (x - y);
  });
}

/** `sort=rate` ascending, `sort=-rate` descending. */
export function readSorting(text: string | null, fallback: Sorting): Sorting {
  if (!text) return fallback;
  return text.startsWith("-")
    ? { column: text.slice(1), descending: true }
    : { column: text, descending: false };
}

export const writeSorting = (sorting: Sorting): string => (sorting.descending ? "-" : "") + sorting.column;
