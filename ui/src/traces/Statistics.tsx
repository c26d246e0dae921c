/** A trace's spans in groups, with their time: who did the work, who was waited for, who failed. */

import { useMemo } from "preact/hooks";
import { params, setParams } from "../app/router";
import { Select } from "../components/Controls";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatCount, formatMicros, formatRatio } from "../lib/format";
import { ShareBar } from "./ShareBar";
import { attributeNames, BY_OPERATION, BY_SERVICE, type Group, groupSpans } from "./statistics";
import type { ViewProps } from "./TracePage";

const MOST_ATTRIBUTES = 200;
const MOST_ROWS = 500;

export function Statistics({ trace, critical, tabs }: ViewProps) {
  const names = useMemo(() => attributeNames(trace, MOST_ATTRIBUTES), [trace]);
  const asked = params.value.get("by") ?? BY_SERVICE;
  const by = asked === BY_OPERATION || names.includes(asked) ? asked : BY_SERVICE;
  const groups = useMemo(() => groupSpans(trace, by, critical), [trace, by, critical]);
  const self = groups.reduce((sum, group) => sum + group.self, 0);
  const sorting = readSorting(params.value.get("sort"), { column: "self", descending: true });
  const columns = groupColumns(self, critical.total);
  const sort = columns.find((column) => column.id === sorting.column)?.sort ?? ((group: Group) => group.self);
  const shown =
    groups.length <= MOST_ROWS
      ? groups
      : [...groups]
          .sort((a, b) => (Number(sort(b)) - Number(sort(a))) * (sorting.descending ? 1 : -1))
          .slice(0, MOST_ROWS);
  return (
    <div class="waterfall" data-testid="trace-statistics">
      <div class="waterfall-bar">
        {tabs}
        <Select
          label={t("stats.by")}
          value={by}
          options={[
            { value: BY_SERVICE, label: t("stats.service") },
            { value: BY_OPERATION, label: t("stats.operation") },
            ...names.map((name) => ({ value: name, label: name })),
          ]}
          onChange={(value) => setParams({ by: value === BY_SERVICE ? null : value })}
          testId="stats-by"
        />
        <span class="end muted">
          {groups.length > MOST_ROWS
            ? t("stats.first", { n: MOST_ROWS, all: formatCount(groups.length) })
            : t("stats.groups", { n: groups.length })}
        </span>
      </div>
      <div class="waterfall-rows">
        <Table
          label={t("trace.view.statistics")}
          columns={columns}
          rows={shown}
          rowKey={(group) => group.name}
          sorting={sorting}
          onSort={(next) => setParams({ sort: writeSorting(next) })}
        />
      </div>
    </div>
  );
}

function groupColumns(self: number, path: number): Column<Group>[] {
  const micros = (id: "total" | "p50" | "p95" | "most"): Column<Group> => ({
    id,
    title: t(`stats.${id}`),
    numeric: true,
    sort: (group) => group[id],
    cell: (group) => formatMicros(group[id]),
  });
  return [
    {
      id: "name",
      title: t("stats.group"),
      sort: (group) => group.name,
      cell: (group) =>
        group.name === "" ? (
          <span class="muted">{t("stats.without")}</span>
        ) : (
          <b class="group-name">{group.name}</b>
        ),
    },
    {
      id: "spans",
      title: t("trace.waterfall"),
      numeric: true,
      sort: (one) => one.spans,
      cell: (one) => formatCount(one.spans),
    },
    {
      id: "errors",
      title: t("metric.errors"),
      numeric: true,
      sort: (one) => one.errors,
      cell: (one) => <span class={one.errors ? "text-bad" : "muted"}>{one.errors || DASH}</span>,
    },
    micros("p50"),
    micros("p95"),
    micros("most"),
    micros("total"),
    {
      id: "self",
      title: t("span.self"),
      numeric: true,
      sort: (one) => one.self,
      cell: (one) => (
        <span class="with-share">
          {formatMicros(one.self)} <ShareBar share={self > 0 ? one.self / self : 0} />
        </span>
      ),
    },
    {
      id: "path",
      title: t("trace.critical"),
      numeric: true,
      sort: (one) => one.path,
      cell: (one) =>
        one.path > 0 ? (
          <span class="with-share">
            {formatRatio(one.path / path)} <ShareBar share={one.path / path} tone="critical" />
          </span>
        ) : (
          <span class="muted">{DASH}</span>
        ),
    },
  ];
}
