/** What stands out in the traces of a window. */

import type { ComponentChildren } from "preact";
import {
  type ErrorRoot,
  fetchFindings,
  type FindingsAnswer,
  type Named,
  type Repeat,
  type Slow,
  type Storm,
} from "../api/analysis";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { formatCount, formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { shortOperation } from "../traces/summary";
import { AnalysisPage, ReadFacts } from "./AnalysisPage";
import { useChoice } from "./useChoice";

export function FindingsPage() {
  const choice = useChoice();
  const loaded = useData(`findings ${choice.key}`, (signal) => fetchFindings(choice.now(), signal));
  return (
    <AnalysisPage here="findings" q={choice.q} loaded={loaded}>
      {loaded.data && <ReadFacts answer={loaded.data} />}
      {loaded.data && <Lists answer={loaded.data} />}
    </AnalysisPage>
  );
}

function Lists({ answer }: { answer: FindingsAnswer }) {
  return (
    <>
      <List name="errors" rows={answer.error_roots} row={(one) => <Root one={one} />} />
      <List name="slow" rows={answer.slow} row={(one) => <Slower one={one} />} />
      <div class="grid-2">
        <List name="nPlusOne" rows={answer.n_plus_one} row={(one) => <Repeated one={one} />} />
        <List name="retried" rows={answer.retried} row={(one) => <Repeated one={one} />} />
      </div>
      <List name="storms" rows={answer.retry_storms} row={(one) => <StormRow one={one} />} />
    </>
  );
}

type ListName = "errors" | "slow" | "nPlusOne" | "retried" | "storms";

function List<Row>(props: { name: ListName; rows: Row[]; row: (row: Row) => ComponentChildren }) {
  const { name, rows } = props;
  return (
    <section class="card" data-testid={`findings-${name}`}>
      <header>
        <h2>{t(`findings.${name}`)}</h2>
        <span class="muted">{rows.length > 0 ? rows.length : t("findings.none")}</span>
      </header>
      {rows.length === 0 && <p class="card-note muted">{t(`findings.${name}.text`)}</p>}
      {rows.length > 0 && (
        <ul class="found">
          {rows.map((row, index) => (
            <li key={index}>{props.row(row)}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Name({ one }: { one: Named }) {
  return (
    <span>
      <b>{one.service}</b> {shortOperation(one.operation)}
    </span>
  );
}

function Example({ trace, span = "" }: { trace: string; span?: string }) {
  if (!trace) return null;
  return (
    <a class="with-icon found-example" href={`/traces/${trace}${span ? `?span=${span}` : ""}`}>
      <Icon name="traces" size={14} /> {t("analysis.example")}
    </a>
  );
}

function Root({ one }: { one: ErrorRoot }) {
  return (
    <>
      <p class="found-title">
        <Icon name="target" size={14} />
        <Name one={one} />
        <span class="code code-bad">{t("findings.failed", { spans: formatCount(one.spans) })}</span>
        <span class="muted">
          {t("findings.reached", { reached: formatCount(one.reached), traces: formatCount(one.traces) })}
        </span>
        <Example trace={one.trace_id} span={one.span_id} />
      </p>
      <ol class="chain">
        {one.chain.slice(1).map((link, index) => (
          <li key={index} title={link.operation}>
            {link.service.split(".")[0]} <span class="muted">{shortOperation(link.operation)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

function Slower({ one }: { one: Slow }) {
  return (
    <p class="found-title">
      <Name one={one} />
      <span class="code code-warn">
        {t("findings.slower", { slow: formatCount(one.slow), spans: formatCount(one.spans) })}
      </span>
      <span class="muted">
        {t("findings.was", {
          p50: formatMs(one.p50_ms),
          before: formatMs(one.baseline_p50_ms),
          p99: formatMs(one.baseline_p99_ms),
          example: formatMs(one.example_ms),
        })}
      </span>
      <Example trace={one.trace_id} span={one.span_id} />
    </p>
  );
}

function Repeated({ one }: { one: Repeat }) {
  return (
    <p class="found-title">
      <Name one={one.caller} />
      <Icon name="right" size={12} />
      <Name one={one.called} />
      <span class="code code-warn">
        {t("findings.calls", { calls: one.calls.toFixed(1), most: formatCount(one.most) })}
      </span>
      <span class="muted">
        {t("findings.cost", {
          traces: formatCount(one.traces),
          time: formatMs(one.time_ms),
          path: formatMs(one.path_ms),
        })}
      </span>
      <Example trace={one.trace_id} span={one.span_id} />
    </p>
  );
}

function StormRow({ one }: { one: Storm }) {
  return (
    <>
      <p class="found-title">
        <b>{one.cluster}</b> <span class="muted">{one.route}</span>
        <span class="code code-bad">
          {t("findings.storm", { stormy: formatCount(one.stormy), requests: formatCount(one.requests) })}
        </span>
        <span class="muted">
          {t("findings.attempts", { attempts: formatCount(one.attempts), most: one.most })}
        </span>
        <Example trace={one.trace_id} />
      </p>
      <ol class="chain">
        {one.way.map((hop) => (
          <li key={hop.cluster}>
            {hop.cluster}{" "}
            <span class="muted">{t("findings.tries", { n: hop.attempts, failed: hop.failed })}</span>
          </li>
        ))}
      </ol>
    </>
  );
}
