/** A forecast beside its history: the expected line, its bands, and how wrong it was in the past. */

import { useMemo, useState } from "preact/hooks";
import type { Forecast, Forecasts } from "../api/outlook";
import { type Labels, queryRange, type Series } from "../api/prometheus";
import { language } from "../app/prefs";
import { Select } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { dateTime } from "../lib/time";
import { BandChart } from "./BandChart";
import { shownHistory } from "./signals";
import { labelsText, quality, refusal } from "./words";

interface Props {
  found: Forecasts;
  horizon: number;
  title: string;
  format: (value: number) => string;
}

export function ForecastCard({ found, horizon, title, format }: Props) {
  const [number, setNumber] = useState(0);
  const one = found.series[number] ?? found.series[0]!;
  const begin = found.series.find((each) => each.times.length > 0)?.times[0];
  const end = begin === undefined ? Math.floor(Date.now() / 1000) : begin - found.step;
  const history = useData(
    `forecast history ${found.query} ${found.step} ${end} ${horizon}`,
    (signal) => queryRange(found.query, end - shownHistory(horizon), end, found.step, signal),
    { live: false },
  );
  return (
    <section class="card" data-testid="forecast">
      <header>
        <h2 class="truncate">{title}</h2>
        {found.series.length > 1 && (
          <span class="end head-actions">
            <Select
              label={t("outlook.forecast.series")}
              options={found.series.map((each, index) => ({
                value: String(index),
                label: (each.refused ? "∅ " : "") + labelsText(each.labels),
              }))}
              value={String(number)}
              onChange={(next) => setNumber(Number(next))}
            />
          </span>
        )}
      </header>
      <div class="card-body stack">
        {one.refused ? (
          <EmptyState title={t("outlook.forecast.refused")} text={refusal(one.refused)} icon="clock" />
        ) : (
          <>
            <p class="in-words">{inWords(one, format)}</p>
            {history.error && <LoadStates loaded={history} rows={3} />}
            <ForecastChart
              one={one}
              past={matching(history.data, one.labels)}
              title={title}
              format={format}
            />
            <p class="muted">{quality(one)}</p>
          </>
        )}
      </div>
    </section>
  );
}

const key = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort());

const matching = (all: Series[] | undefined, labels: Labels): Series | undefined =>
  all?.find((one) => key(one.labels) === key(labels));

function inWords(one: Forecast, format: Props["format"]): string {
  const last = one.times.length - 1;
  const top = one.mean.indexOf(Math.max(...one.mean));
  const wide = one.bands.find((band) => band.share === 0.95) ?? one.bands[0];
  return t("outlook.forecast.words", {
    end: dateTime(one.times[last]!).slice(5, 16),
    value: format(one.mean[last]!),
    low: format(wide?.low[last] ?? NaN),
    high: format(wide?.high[last] ?? NaN),
    peak: format(one.mean[top]!),
    at: dateTime(one.times[top]!).slice(5, 16),
  });
}

function ForecastChart(props: {
  one: Forecast;
  past: Series | undefined;
  title: string;
  format: Props["format"];
}) {
  const { one, past } = props;
  const shape = useMemo(() => {
    const times = past?.times ?? [];
    const before = times.filter((time) => time < one.times[0]!);
    const x = [...before, ...one.times];
    const nothing = before.map(() => null);
    const known = [...(past?.values.slice(0, before.length) ?? []), ...one.times.map(() => null)];
    // The line begins where history ends, so that both meet.
    const join = before.length > 0 ? [...nothing.slice(1), known[before.length - 1] ?? null] : [];
    return {
      x,
      lines: [
        { label: t("outlook.forecast.past"), colour: "--c2", values: known },
        {
          label: t("outlook.forecast.expected"),
          colour: "--accent",
          values: [...join, ...one.mean],
          dash: true,
        },
      ],
      bands: [...one.bands]
        .sort((a, b) => b.share - a.share)
        .map((band) => ({
          colour: "--accent",
          alpha: band.share > 0.9 ? 0x1c : 0x30,
          low: [...join, ...band.low],
          high: [...join, ...band.high],
        })),
      moments: [{ at: one.times[0]! - 1, label: t("outlook.forecast.now"), colour: "--text-3" }],
    };
  }, [one, past, language.value]);
  return (
    <BandChart
      title={t("outlook.forecast.bands")}
      time
      format={props.format}
      height={320}
      testId="forecast-chart"
      {...shape}
    />
  );
}
