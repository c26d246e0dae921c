/** Which metrics and labels make the series: where to look when there are too many. */

import { useEffect } from "preact/hooks";
import { type Cardinality, type Counted, fetchCardinality } from "../api/rules";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { formatBytes } from "../lib/format";
import { quote } from "../lib/promql";
import { useData } from "../lib/useData";
import { explorerHref } from "../metrics/state";
import { Facts } from "../graph/SidePanel";
import { StatusTabs } from "./StatusTabs";

const LIMIT = 20;
const whole = (value: number): string => value.toLocaleString("en-US");

export function CardinalityPage() {
  useEffect(() => {
    document.title = `${t("cardinality.title")} · Windvane`;
  });
  const loaded = useData("cardinality", (signal) => fetchCardinality(LIMIT, signal));
  const data = loaded.data;
  return (
    <div class="page">
      <div class="page-head">
        <StatusTabs here="cardinality" />
      </div>
      <LoadStates loaded={loaded} rows={10} />
      {data && data.seriesCountByMetricName.length === 0 && (
        <section class="card">
          <EmptyState
            title={t("cardinality.empty.title")}
            text={t("cardinality.empty.text")}
            icon="metrics"
          />
        </section>
      )}
      {data && data.seriesCountByMetricName.length > 0 && <Tables data={data} />}
    </div>
  );
}

function Tables({ data }: { data: Cardinality }) {
  const head = data.headStats;
  return (
    <>
      {head && (
        <section class="card head-facts">
          <Facts
            facts={[
              { label: t("cardinality.series"), value: whole(head.numSeries) },
              ...(head.numLabelPairs === undefined
                ? []
                : [{ label: t("cardinality.pairs"), value: whole(head.numLabelPairs) }]),
            ]}
          />
        </section>
      )}
      <div class="grid-2">
        <Bars
          title={t("cardinality.byMetric")}
          rows={data.seriesCountByMetricName}
          total={head?.numSeries}
          query={(name) => `{__name__=${quote(name)}}`}
        />
        <Bars
          title={t("cardinality.byPair")}
          rows={data.seriesCountByLabelValuePair}
          total={head?.numSeries}
          query={(pair) => {
            const at = pair.indexOf("=");
            return `count by (__name__) ({${pair.slice(0, at)}=${quote(pair.slice(at + 1))}})`;
          }}
        />
        <Bars
          title={t("cardinality.values")}
          rows={data.labelValueCountByLabelName}
          query={(label) => `topk(20, count by (${label}) ({${label}!=""}))`}
        />
        {(data.memoryInBytesByLabelName?.length ?? 0) > 0 && (
          <Bars
            title={t("cardinality.memory")}
            rows={data.memoryInBytesByLabelName!}
            format={formatBytes}
            query={(label) => `topk(20, count by (${label}) ({${label}!=""}))`}
          />
        )}
      </div>
    </>
  );
}

function Bars(props: {
  title: string;
  rows: Counted[];
  total?: number | undefined;
  format?: (value: number) => string;
  query: (name: string) => string;
}) {
  const { title, rows, total, format = whole } = props;
  const most = Math.max(1, ...rows.map((row) => row.value));
  return (
    <section class="card" data-testid="cardinality-table">
      <header>
        <h2>{title}</h2>
      </header>
      <ol class="bars">
        {rows.map((row) => (
          <li key={row.name}>
            <a href={explorerHref([props.query(row.name)], null, "table")} title={props.query(row.name)}>
              <i style={{ width: `${(row.value / most) * 100}%` }} />
              <span class="mono truncate">{row.name}</span>
              <b>{format(row.value)}</b>
              {total ? (
                <em>{`${((row.value / total) * 100).toFixed(row.value / total < 0.1 ? 1 : 0)}%`}</em>
              ) : null}
            </a>
          </li>
        ))}
      </ol>
      {rows.length === 0 && <p class="card-body muted">{t("common.none")}</p>}
    </section>
  );
}
