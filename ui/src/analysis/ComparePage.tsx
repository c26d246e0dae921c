/** Two traces side by side, place by place. */

import { useEffect, useState } from "preact/hooks";
import {
  type Change,
  type ComparedPlace,
  type ComparedSide,
  type ComparisonAnswer,
  fetchComparison,
} from "../api/analysis";
import { params, setParams } from "../app/router";
import { Button, Check, TextField } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { DASH, formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { shortOperation } from "../traces/summary";
import { TracesTabs } from "../traces/TracesHead";
import { changes, shownPlaces } from "./compare";

const ID = /^[0-9a-f]{1,32}$/i;
const TONES: Record<Change, string> = {
  failed: "code-bad",
  slower: "code-bad",
  added: "code-warn",
  more: "code-warn",
  removed: "code-warn",
  fewer: "",
  faster: "code-ok",
  recovered: "code-ok",
  same: "",
};

export function ComparePage() {
  const [a, b] = [params.value.get("a") ?? "", params.value.get("b") ?? ""];
  const asked = ID.test(a) && ID.test(b);
  const loaded = useData(asked ? `compare ${a} ${b}` : null, (signal) => fetchComparison(a, b, signal), {
    live: false,
    keep: false,
  });
  return (
    <div class="page">
      <TracesTabs here="compare" />
      <Ids a={a} b={b} />
      {!asked && (
        <section class="card">
          <EmptyState title={t("compare.empty.title")} text={t("compare.empty.text")} icon="traces">
            <a class="button button-plain" href="/traces">
              {t("trace.back")}
            </a>
          </EmptyState>
        </section>
      )}
      {asked && <LoadStates loaded={loaded} />}
      {loaded.data && <Compared answer={loaded.data} />}
    </div>
  );
}

function Ids({ a, b }: { a: string; b: string }) {
  const [draft, setDraft] = useState({ a, b });
  useEffect(() => setDraft({ a, b }), [a, b]);
  const clean = (text: string) => text.trim().toLowerCase();
  const valid = ID.test(clean(draft.a)) && ID.test(clean(draft.b));
  const run = () => valid && setParams({ a: clean(draft.a), b: clean(draft.b) }, false);
  const field = (name: "a" | "b") => (
    <TextField
      showLabel
      label={t(`compare.${name}`)}
      placeholder={t("traces.id")}
      value={draft[name]}
      problem={draft[name] && !ID.test(clean(draft[name])) ? t("compare.problem") : ""}
      onInput={(text) => setDraft({ ...draft, [name]: text })}
      onEnter={run}
      testId={`compare-${name}`}
    />
  );
  return (
    <section class="card compare-ids">
      {field("a")}
      {field("b")}
      <Button onClick={() => setParams({ a: b, b: a }, false)} disabled={!a || !b}>
        {t("compare.swap")}
      </Button>
      <Button tone="primary" disabled={!valid} onClick={run}>
        {t("traces.page.compare")}
      </Button>
    </section>
  );
}

function Compared({ answer }: { answer: ComparisonAnswer }) {
  const [all, setAll] = useState(false);
  const shown = shownPlaces(answer.places, all);
  const found = changes(answer.places);
  return (
    <section class="card" data-testid="comparison">
      <header>
        <h2>{found.length ? t("compare.changes") : t("compare.same")}</h2>
        {found.map(([change, n]) => (
          <span key={change} class={`code ${TONES[change]}`}>
            {t(`change.${change}`)} {n}
          </span>
        ))}
        <span class="end">
          <Check label={t("compare.all")} checked={all} onChange={setAll} />
        </span>
      </header>
      <div class="table-scroll">
        <table class="table compare-table">
          <thead>
            <tr>
              <th scope="col">{t("trace.operation")}</th>
              <th scope="col">{t("compare.change")}</th>
              <Side id={answer.a.trace_id} name="A" ms={answer.a.duration_ms} />
              <Side id={answer.b.trace_id} name="B" ms={answer.b.duration_ms} />
              <th scope="col" class="numeric">
                {t("compare.difference")}
              </th>
              <th scope="col" class="numeric">
                {t("compare.spans")}
              </th>
              <th scope="col" class="numeric">
                {t("compare.path")}
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((index) => (
              <Place key={index} place={answer.places[index]!} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Side({ id, name, ms }: { id: string; name: string; ms: number }) {
  return (
    <th scope="col" class="numeric">
      {name}{" "}
      <a href={`/traces/${id}`} title={id}>
        {id.slice(0, 8)}
      </a>{" "}
      {formatMs(ms)}
    </th>
  );
}

function Place({ place }: { place: ComparedPlace }) {
  const { a, b, change } = place;
  const total = (side: ComparedSide) => (side.spans ? formatMs(side.total_ms) : DASH);
  const difference = b.total_ms - a.total_ms;
  const both = a.spans > 0 && b.spans > 0;
  return (
    <tr class={change === "same" ? "place-same" : ""}>
      <td>
        <span
          class="truncate compare-name"
          style={{ paddingLeft: Math.min(place.depth, 20) * 14 }}
          title={place.operation}
        >
          <b>{place.service.split(".")[0]}</b> <span class="muted">{shortOperation(place.operation)}</span>
        </span>
      </td>
      <td>{change !== "same" && <span class={`code ${TONES[change]}`}>{t(`change.${change}`)}</span>}</td>
      <td class="numeric">{total(a)}</td>
      <td class="numeric">{total(b)}</td>
      <td
        class={`numeric ${both && change === "slower" ? "text-bad" : change === "faster" ? "text-ok" : ""}`}
      >
        {both ? `${difference < 0 ? "−" : "+"}${formatMs(Math.abs(difference))}` : DASH}
      </td>
      <td class="numeric">{a.spans === b.spans ? a.spans : `${a.spans} → ${b.spans}`}</td>
      <td class="numeric muted">
        {formatMs(a.path_ms)} → {formatMs(b.path_ms)}
      </td>
    </tr>
  );
}
