/** One service: how its times grow with its load, what it can take, when peaks will be there, and what if. */

import { useMemo, useState } from "preact/hooks";
import { type Capacity, type CapacityQuestion, fetchCapacity, type Figure } from "../api/outlook";
import { language } from "../app/prefs";
import { linkTo, params, setParams } from "../app/router";
import { Segmented, TextField } from "../components/Controls";
import { Icon } from "../components/Icon";
import { LoadStates } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatMs, formatNumber, formatRatio } from "../lib/format";
import { parseDuration } from "../lib/time";
import { useData } from "../lib/useData";
import { useRested } from "../lib/useRested";
import { type Band, BandChart, type BandLine, type Level, type Moment } from "./BandChart";
import { band, capacityWords, daysText, figure, interpolated, rate } from "./words";

const DAY = 86_400;
/** Steps of a slider: a factor grows alike with each. */
const FACTORS = [0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5];
const NOW = FACTORS.indexOf(1);

export function CapacityDetail({ service, latency }: { service: string; latency: number | null }) {
  const written = params.value.get("latency") ?? "";
  const replicas = slider(params.value.get("replicas"));
  const traffic = slider(params.value.get("traffic"));
  const bad = written !== "" && parseDuration(written) === null && !/^\d+ms$/.test(written);
  const wanted: CapacityQuestion = {
    service,
    latency: bad || !written ? null : written,
    replicas: `${FACTORS[replicas]}x`,
    traffic: `${FACTORS[traffic]}x`,
  };
  const asked = useRested(JSON.stringify(wanted), 350);
  const loaded = useData(
    `capacity ${asked}`,
    (signal) => fetchCapacity(JSON.parse(asked) as CapacityQuestion, signal),
    { live: false },
  );
  const [what, setWhat] = useState<"time" | "busy">("time");
  const found = loaded.data;
  return (
    <section class={`card ${loaded.stale ? "stale" : ""}`} data-testid="capacity-detail">
      <header>
        <h2>{service}</h2>
        <span class="end head-actions">
          <Segmented
            label={t("outlook.capacity.curve")}
            value={what}
            options={[
              { value: "time", label: t("outlook.capacity.curve.time") },
              { value: "busy", label: t("outlook.capacity.curve.busy") },
            ]}
            onChange={setWhat}
          />
        </span>
      </header>
      <div class="card-body stack">
        <div class="what-if" role="group" aria-label={t("outlook.capacity.whatIf")}>
          <Slider label={t("outlook.capacity.replicas")} at={replicas} name="replicas" />
          <Slider label={t("outlook.capacity.traffic")} at={traffic} name="traffic" />
          <TextField
            label={t("outlook.capacity.objective")}
            showLabel
            placeholder={latency === null ? "300ms" : formatMs(latency * 1000)}
            value={written}
            onInput={(value) => setParams({ latency: value })}
            {...(bad ? { problem: t("outlook.capacity.objective.bad") } : {})}
          />
        </div>
        {(loaded.loading || loaded.error) && <LoadStates loaded={loaded} rows={6} />}
        {found && (
          <>
            <p class="in-words" data-testid="capacity-words">
              {capacityWords(found)}
            </p>
            <div class="outlook-charts">
              <CurveChart found={found} what={what} />
              <PeaksChart found={found} />
            </div>
            <CapacityFacts found={found} />
            {found.notes.length > 0 && <Notes notes={found.notes} />}
            <p>
              <a class="link" href={linkTo("/insights/forecast", { service, signal: "rate" })}>
                {t("outlook.capacity.toForecast")}
              </a>
            </p>
          </>
        )}
      </div>
    </section>
  );
}

function slider(text: string | null): number {
  const found = FACTORS.indexOf(Number(text));
  return found < 0 ? NOW : found;
}

function Slider({ label, at, name }: { label: string; at: number; name: string }) {
  const factor = FACTORS[at] ?? 1;
  const set = (next: number) => setParams({ [name]: next === NOW ? null : String(FACTORS[next]) });
  return (
    <label class="field slider">
      <span class="field-label">
        {label} <b>{at === NOW ? t("outlook.capacity.asNow") : `${factor}×`}</b>
      </span>
      <input
        type="range"
        min={0}
        max={FACTORS.length - 1}
        step={1}
        value={at}
        aria-valuetext={`${factor}×`}
        data-testid={`slider-${name}`}
        onInput={(event) => set(Number(event.currentTarget.value))}
      />
    </label>
  );
}

const part = (figures: Figure[], name: keyof Figure, factor: number, top: number): (number | null)[] =>
  figures.map((one) => {
    const value = one[name];
    return value === null || value * factor > top ? (name === "high" ? top : null) : value * factor;
  });

function CurveChart({ found, what }: { found: Capacity; what: "time" | "busy" }) {
  const shape = useMemo(() => {
    const time = what === "time";
    const { curve } = found;
    const figures = time ? curve.time : curve.utilisation;
    const factor = time ? 1000 : 100;
    const seen = Math.max(...curve.seen_time, 1e-3) * 1000;
    const top = time ? Math.max(4 * seen, found.latency === null ? 0 : found.latency * 1500) : 100;
    const x = [...new Set([...curve.rate, ...(time ? curve.seen_rate : [])])].sort((a, b) => a - b);
    const at = (values: (number | null)[], rates: number[], curved: boolean) =>
      x.map((one) => (curved ? interpolated(rates, values, one) : (values[rates.indexOf(one)] ?? null)));
    const lines: BandLine[] = [
      {
        label: t(time ? "outlook.capacity.model" : "outlook.capacity.busy"),
        colour: "--accent",
        values: at(part(figures, "value", factor, top), curve.rate, true),
      },
    ];
    if (time && found.replicas === 1)
      lines.push({
        label: t("outlook.capacity.seen"),
        colour: "--c3",
        values: at(
          curve.seen_time.map((one) => one * 1000),
          curve.seen_rate,
          false,
        ),
        points: true,
      });
    const bands: Band[] = [
      {
        colour: "--accent",
        alpha: 0x26,
        low: at(part(figures, "low", factor, top), curve.rate, true),
        high: at(part(figures, "high", factor, top), curve.rate, true),
      },
    ];
    const levels: Level[] =
      time && found.latency !== null
        ? [{ value: found.latency * 1000, label: t("outlook.capacity.objective"), colour: "--bad" }]
        : [];
    const wanted = found.peak * found.traffic;
    const moments: Moment[] = [
      { at: wanted, label: t("outlook.capacity.peakNow"), colour: "--text-3" },
      ...(found.limit?.value != null
        ? [{ at: found.limit.value, label: t("outlook.capacity.limit"), colour: "--bad" }]
        : []),
      ...(found.saturation.value != null
        ? [{ at: found.saturation.value, label: t("outlook.capacity.saturation"), colour: "--warn" }]
        : []),
    ];
    return { x, lines, bands, levels, moments, top };
  }, [found, what, language.value]);
  const time = what === "time";
  return (
    <BandChart
      title={t(time ? "outlook.capacity.chart.time" : "outlook.capacity.chart.busy", {
        quantile: `p${Number((100 * found.quantile).toFixed(2))}`,
      })}
      x={shape.x}
      time={false}
      lines={shape.lines}
      bands={shape.bands}
      levels={shape.levels}
      moments={shape.moments}
      format={(value) => (time ? formatMs(value) : `${Math.round(value)}%`)}
      formatX={rate}
      height={260}
      range={(_, high) => [0, Math.min(high * 1.08, shape.top)]}
      testId="capacity-curve"
    />
  );
}

function PeaksChart({ found }: { found: Capacity }) {
  const shape = useMemo(() => {
    const { peaks } = found;
    if (!peaks) return null;
    const now = Math.floor(Date.now() / 1000);
    const limit = (found.limit ?? found.saturation).value;
    const reach = (found.limit ? found.days : found.full_days)?.value ?? null;
    const shown = Math.min(peaks.expected.length, Math.max(21, Math.ceil((reach ?? 0) * 1.4)));
    return {
      x: peaks.expected.slice(0, shown).map((_, day) => now + (day + 1) * DAY),
      lines: [
        {
          label: t("outlook.capacity.expectedPeak"),
          colour: "--accent",
          values: peaks.expected.slice(0, shown),
        },
      ],
      bands: [
        {
          colour: "--accent",
          alpha: 0x26,
          low: peaks.low.slice(0, shown),
          high: peaks.high.slice(0, shown),
        },
      ],
      levels:
        limit === null
          ? []
          : [{ value: limit, label: t("outlook.capacity.limit"), colour: "--bad" } as Level],
      moments:
        reach === null || reach === 0
          ? []
          : [{ at: now + reach * DAY, label: daysText(reach), colour: "--bad" } as Moment],
    };
  }, [found, language.value]);
  if (!shape) return <p class="muted chart-refused">{t("outlook.capacity.noGrowth")}</p>;
  return <BandChart title={t("outlook.capacity.chart.peaks")} time format={rate} height={260} {...shape} />;
}

function CapacityFacts({ found }: { found: Capacity }) {
  const seconds = (value: number) => formatMs(value * 1000);
  const told = (one: Figure | null, format: (value: number) => string) => (
    <span title={band(one, format)}>
      {figure(one, format)} <span class="muted">({band(one, format)})</span>
    </span>
  );
  return (
    <Facts
      facts={[
        {
          label: t("outlook.capacity.now"),
          value: t("outlook.capacity.inFlight", { rate: rate(found.now), n: formatNumber(found.in_flight) }),
        },
        { label: t("outlook.capacity.peak"), value: rate(found.peak * found.traffic) },
        { label: t("outlook.capacity.busy"), value: told(found.utilisation, formatRatio) },
        {
          label: t("outlook.capacity.timeAtPeak", {
            quantile: `p${Number((100 * found.quantile).toFixed(2))}`,
          }),
          value: told(found.at_traffic, seconds),
        },
        { label: t("outlook.capacity.fact.saturation"), value: told(found.saturation, rate) },
        {
          label: t("outlook.capacity.growth"),
          value:
            found.growth === null
              ? t("outlook.capacity.growthUnknown")
              : t("outlook.capacity.aDay", { percent: `${(100 * found.growth).toFixed(1)}%` }),
        },
      ]}
    />
  );
}

function Notes({ notes }: { notes: string[] }) {
  return (
    <ul class="notes">
      {notes.map((note) => (
        <li key={note}>
          <Icon name="warning" size={14} />
          <span>{note}</span>
        </li>
      ))}
    </ul>
  );
}
