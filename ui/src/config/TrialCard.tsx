/** A draft tried on real Envoys: a request, who asks, how often; and what became of it. */

import { useEffect, useRef, useState } from "preact/hooks";
import {
  type ConfigResources,
  type Drafted,
  postTry,
  type TrialAnswer,
  type TrialOutcome,
} from "../api/config";
import { Button, Select, TextField } from "../components/Controls";
import { Icon } from "../components/Icon";
import { messageFor, Skeleton } from "../components/States";
import { Table } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatMs, formatRatio } from "../lib/format";
import { choices, serviceKey } from "./forms";

const TIMES = ["1", "20", "100", "1000"] as const;
const REQUEST = /^(?:[A-Za-z]+\s+)?http:\/\/\S+$/;
const HEADER = /^[^:\s]+:.*$/;

interface Trial {
  yaml: string;
  answer?: TrialAnswer;
  error?: Error;
}

export function TrialCard(props: { draft: Drafted; service: string; data: ConfigResources }) {
  const { draft, service, data } = props;
  const known = choices(data).find((one) => serviceKey(one) === service);
  const suggested = `GET http://${service.split("/").reverse().join(".")}${known?.ports[0] ? `:${known.ports[0]}` : ""}/`;
  const [typed, setTyped] = useState<string | null>(null);
  const [header, setHeader] = useState("");
  const [from, setFrom] = useState("");
  const [times, setTimes] = useState<(typeof TIMES)[number]>("100");
  const [trial, setTrial] = useState<Trial | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => setTyped(null), [service]);
  useEffect(() => () => running.current?.abort(), []);
  const request = typed ?? suggested;
  const good = REQUEST.test(request.trim()) && (header === "" || HEADER.test(header));
  const waiting = trial !== null && !trial.answer && !trial.error;

  const run = () => {
    if (!good || waiting || draft.refused || draft.no_trial) return;
    const control = new AbortController();
    running.current = control;
    setTrial({ yaml: draft.yaml });
    const body = { yaml: draft.yaml, request, headers: header ? [header] : [], from, times: Number(times) };
    postTry(body, control.signal).then(
      (answer) => setTrial({ yaml: draft.yaml, answer }),
      (error: Error) => !control.signal.aborted && setTrial({ yaml: draft.yaml, error }),
    );
  };

  return (
    <section class="card" data-testid="config-trial">
      <header>
        <h2>{t("config.try.title")}</h2>
        <span class="muted">{t("config.try.text")}</span>
      </header>
      {draft.no_trial ? (
        <p class="card-body muted">
          {t("config.try.impossible")} {draft.no_trial}
        </p>
      ) : (
        <div class="card-body trial-form">
          <TextField
            showLabel
            label={t("config.try.request")}
            value={request}
            onInput={setTyped}
            onEnter={run}
            testId="trial-request"
            {...(REQUEST.test(request.trim()) ? {} : { problem: t("config.problem.request") })}
          />
          <TextField
            showLabel
            label={t("config.try.header")}
            value={header}
            placeholder="x-group: beta"
            onInput={setHeader}
            onEnter={run}
            {...(header === "" || HEADER.test(header) ? {} : { problem: t("config.problem.header") })}
          />
          <Select
            showLabel
            label={t("config.try.from")}
            value={from}
            options={[
              { value: "", label: t("config.try.anybody") },
              ...data.workloads.map((one) => ({ value: one, label: one })),
            ]}
            onChange={setFrom}
          />
          <Select
            showLabel
            label={t("config.try.times")}
            value={times}
            options={TIMES.map((one) => ({ value: one, label: one }))}
            onChange={setTimes}
          />
          <Button
            icon="play"
            disabled={!good || waiting || draft.refused}
            onClick={run}
            data-testid="trial-run"
          >
            {waiting ? t("config.try.running") : t("config.try.run")}
          </Button>
        </div>
      )}
      {waiting && <Skeleton rows={3} />}
      {trial?.error && (
        <p class="banner banner-bad" role="alert">
          <Icon name="warning" />
          {messageFor(trial.error)}
        </p>
      )}
      {trial?.answer && <Outcomes answer={trial.answer} stale={trial.yaml !== draft.yaml} />}
    </section>
  );
}

function Outcomes({ answer, stale }: { answer: TrialAnswer; stale: boolean }) {
  return (
    <div class={stale ? "is-stale" : ""} aria-live="polite">
      {stale && (
        <p class="banner banner-warn">
          <Icon name="warning" />
          {t("config.try.stale")}
        </p>
      )}
      <Table
        label={t("config.try.title")}
        rows={answer.outcomes}
        rowKey={(one) =>
          JSON.stringify([one.workload, one.status, one.route, one.flags, one.details, one.attempts])
        }
        testId="trial-outcomes"
        columns={[
          { id: "workload", title: t("config.try.answeredBy"), cell: (one) => <Answered one={one} /> },
          {
            id: "status",
            title: t("config.try.status"),
            cell: (one) => (
              <span
                class={`code code-${one.status >= 500 || !one.status ? "bad" : one.status >= 400 ? "warn" : "ok"}`}
              >
                {one.status || DASH}
              </span>
            ),
          },
          {
            id: "share",
            title: t("config.try.share"),
            numeric: true,
            cell: (one) => (
              <span class="share-bar" style={{ "--share": one.share }}>
                {formatRatio(one.share, 1)}
              </span>
            ),
          },
          {
            id: "interval",
            title: t("config.try.interval"),
            numeric: true,
            cell: (one) => (
              <span class="muted">
                {answer.requests > 1 ? `${formatRatio(one.low, 1)} – ${formatRatio(one.high, 1)}` : DASH}
              </span>
            ),
          },
          { id: "count", title: t("config.try.requests"), numeric: true, cell: (one) => one.count },
          {
            id: "median",
            title: t("config.try.median"),
            numeric: true,
            cell: (one) => formatMs(one.median_ms),
          },
          {
            id: "route",
            title: t("config.try.route"),
            cell: (one) => (
              <span class="mono truncate">{[one.route, one.flags].filter(Boolean).join(" ") || DASH}</span>
            ),
          },
        ]}
      />
      <p class="card-foot muted">{t("config.try.asker", { name: answer.asker })}</p>
    </div>
  );
}

function Answered({ one }: { one: TrialOutcome }) {
  const details = one.details === "via_upstream" ? "" : one.details;
  const said = [one.refused_by, one.failure, details].filter(Boolean);
  if (one.attempts > 1) said.push(t("config.try.attempts", { n: one.attempts }));
  if (one.mirrored_to.length) said.push(t("config.try.mirrored", { names: one.mirrored_to.join(", ") }));
  return (
    <span class="finding">
      <b>{one.workload || DASH}</b>
      {said.length > 0 && <span class="muted">{said.join(" · ")}</span>}
    </span>
  );
}
