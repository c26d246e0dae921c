/** The findings of a cohort question; a click narrows the query to a row's traces. */

import type { CohortDifference, CohortLatency, CohortProperty } from "../api/analysis";
import { linkTo } from "../app/router";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { formatCount, formatMs, formatRatio } from "../lib/format";
import { shortOperation } from "../traces/summary";
import { pText } from "./cohorts";
import { ofOperation, withProperty } from "./queries";

const points = (share: number): string =>
  `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(Math.abs(share) < 0.1 ? 1 : 0)}`;

export function Differences({ rows, q }: { rows: CohortDifference[]; q: string }) {
  return (
    <section class="card" data-testid="cohort-differences">
      <header>
        <h2>{t("cohorts.differences")}</h2>
      </header>
      {rows.length === 0 && <p class="card-body muted">{t("cohorts.nothing")}</p>}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="table cohort-table">
            <thead>
              <tr>
                <th scope="col">{t("cohorts.property")}</th>
                <th scope="col" class="numeric">
                  {t("cohorts.selection")}
                </th>
                <th scope="col" class="numeric">
                  {t("cohorts.baseline")}
                </th>
                <th scope="col">{t("cohorts.difference")}</th>
                <th scope="col" class="numeric">
                  {t("cohorts.ratio")}
                </th>
                <th scope="col" class="numeric">
                  {t("cohorts.p")}
                </th>
                <th scope="col" />
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Difference key={`${row.kind} ${row.key} ${row.value}`} row={row} q={q} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Difference({ row, q }: { row: CohortDifference; q: string }) {
  const also = row.also.map((one) => `${t(`cohorts.kind.${one.kind}`)} ${propertyText(one)}`);
  const { value, low, high } = row.difference;
  return (
    <tr>
      <td>
        <a
          class="cohort-property"
          href={linkTo("/traces", { q: withProperty(q, row) })}
          title={t("cohorts.refine")}
        >
          <span class="tag">{t(`cohorts.kind.${row.kind}`)}</span> {propertyText(row)}
        </a>
        {also.length > 0 && (
          <details class="cohort-also">
            <summary>{t("cohorts.also", { n: also.length })}</summary>
            <ul>
              {row.also.map((one, index) => (
                <li key={index}>
                  <a href={linkTo("/traces", { q: withProperty(q, one) })}>{also[index]}</a>
                </li>
              ))}
            </ul>
          </details>
        )}
      </td>
      <td class="numeric">
        {formatRatio(row.selection.share)} <em class="muted">{formatCount(row.selection.traces)}</em>
      </td>
      <td class="numeric">
        {formatRatio(row.baseline.share)} <em class="muted">{formatCount(row.baseline.traces)}</em>
      </td>
      <td>
        <Interval value={value} low={low} high={high} />
      </td>
      <td class="numeric">{ratioText(row.ratio.value)}</td>
      <td class="numeric" title={`p = ${pText(row.p)}`}>
        {pText(row.adjusted)}
      </td>
      <td>
        <Example id={row.example} />
      </td>
    </tr>
  );
}

function Example({ id }: { id: string }) {
  return id ? (
    <a class="with-icon" href={`/traces/${id}`}>
      <Icon name="traces" size={14} /> {t("analysis.example")}
    </a>
  ) : null;
}

const ratioText = (ratio: number): string =>
  ratio >= 1000 ? "> 1000×" : ratio < 0.001 ? "< 0.001×" : `${Number(ratio.toPrecision(2))}×`;

/** A difference of shares (−1 to 1) with its interval, around a middle line. */
function Interval({ value, low, high }: { value: number; low: number; high: number }) {
  const at = (share: number) => `${(share + 1) * 50}%`;
  const from = Math.min(0, value);
  return (
    <span class="interval" title={t("cohorts.interval", { low: points(low), high: points(high) })}>
      <b>{points(value)}</b>
      <span class="interval-track" aria-hidden="true">
        <i class="interval-fill" style={{ left: at(from), width: `${Math.abs(value) * 50}%` }} />
        <i class="interval-range" style={{ left: at(low), width: `${(high - low) * 50}%` }} />
      </span>
      <em class="muted">
        {points(low)} … {points(high)}
      </em>
    </span>
  );
}

function propertyText({ kind, key, value }: CohortProperty): string {
  if (kind === "attribute") return `${key.replace(/^span\./, "")} = ${value}`;
  if (kind === "edge") return `${key} → ${value}`;
  if (kind === "duration")
    return `${Number(key) ? formatMs(Number(key)) : 0} – ${Number.isFinite(Number(value)) ? formatMs(Number(value)) : "∞"}`;
  return `${key} ${shortOperation(value)}`;
}

export function Latencies({ rows, q }: { rows: CohortLatency[]; q: string }) {
  return (
    <section class="card" data-testid="cohort-latencies">
      <header>
        <h2>{t("cohorts.latencies")}</h2>
      </header>
      {rows.length === 0 && <p class="card-body muted">{t("cohorts.nothing")}</p>}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">{t("trace.operation")}</th>
                {["cohorts.selection", "cohorts.baseline"].map((key) => (
                  <th key={key} scope="col" class="numeric">
                    {t(key as "cohorts.selection")} p50 / p95
                  </th>
                ))}
                <th scope="col" class="numeric">
                  {t("cohorts.chance")}
                </th>
                <th scope="col" class="numeric">
                  {t("cohorts.p")}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.service} ${row.operation}`}>
                  <td>
                    {row.service ? (
                      <a href={linkTo("/traces", { q: ofOperation(q, row), sort: "slowest" })}>
                        <b>{row.service}</b> {shortOperation(row.operation)}
                      </a>
                    ) : (
                      <b>{t("cohorts.whole")}</b>
                    )}
                  </td>
                  {[row.selection, row.baseline].map((set, index) => (
                    <td key={index} class="numeric">
                      {formatMs(set.p50_ms)} / {formatMs(set.p95_ms)}
                    </td>
                  ))}
                  <td class="numeric">
                    {formatRatio(row.chance.value)}{" "}
                    <em class="muted">
                      {formatRatio(row.chance.low)} … {formatRatio(row.chance.high)}
                    </em>
                  </td>
                  <td class="numeric">{pText(row.adjusted)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
