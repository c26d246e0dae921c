/** Counts of lines over time, stacked. Dragging chooses a time; the names below narrow the query. */

import { useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { formatCount } from "../lib/format";
import { clockTime, dateTime } from "../lib/time";
import { useWidth } from "../lib/useWidth";
import { timeTicks } from "../traces/scale";
import { type Bars, type BarSeries, brushedTime, bucketAt, roundTop } from "./bars";

const HEIGHT = 132;
const LEFT = 52;
const RIGHT = 16;
const TOP = 8;
const BOTTOM = 22;

interface Props {
  bars: Bars;
  onBrush: (from: number, to: number) => void;
  onSeries: (name: string) => void;
}

export function Histogram({ bars, onBrush, onSeries }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  const [at, setAt] = useState<number | null>(null);
  const [from, setFrom] = useState<number | null>(null);
  const inner = Math.max(1, width - LEFT - RIGHT);
  const bucket = (event: PointerEvent): number =>
    bucketAt(bars, (event.clientX - root.current!.getBoundingClientRect().left - LEFT) / inner);
  return (
    <div class="log-histogram">
      <div
        class="log-bars"
        ref={root}
        style={{ height: HEIGHT }}
        data-testid="log-histogram"
        role="presentation"
        onPointerDown={(event) => {
          if (event.button !== 0 || bars.buckets === 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          setFrom(bucket(event));
          setAt(bucket(event));
        }}
        onPointerMove={(event) => bars.buckets > 0 && setAt(bucket(event))}
        onPointerLeave={() => from === null && setAt(null)}
        onPointerCancel={() => setFrom(null)}
        onPointerUp={() => {
          if (from !== null && at !== null) {
            const time = brushedTime(bars, from, at);
            onBrush(time.from, time.to);
          }
          setFrom(null);
        }}
      >
        {width > 0 && <Drawing bars={bars} width={width} inner={inner} at={at} from={from} />}
        {at !== null && width > 0 && <Tip bars={bars} at={at} from={from} inner={inner} />}
      </div>
      <ul class="log-key" aria-label={t(`logs.by.${bars.by as "severity"}`)}>
        {named(bars).map((series) => (
          <li key={series.name}>
            <button type="button" title={t("logs.only")} onClick={() => onSeries(series.name)}>
              <i style={{ background: `var(${series.colour})` }} />
              {seriesName(bars.by, series.name)} <b>{formatCount(series.total)}</b>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Severities and classes of status in their own order, all else by size. */
const named = ({ by, series }: Bars): BarSeries[] =>
  by === "severity" || by === "status" ? [...series].reverse() : series;

export function seriesName(by: string, name: string): string {
  if (name === "*") return t("logs.others");
  if (by === "kind") return t(name === "access" ? "logs.kind.access" : "logs.kind.log");
  return name || t("logs.without");
}

function Drawing(props: {
  bars: Bars;
  width: number;
  inner: number;
  at: number | null;
  from: number | null;
}) {
  const { bars, width, inner, at, from } = props;
  const top = roundTop(bars.most);
  const each = inner / Math.max(1, bars.buckets);
  const y = (n: number) => TOP + (1 - n / top) * (HEIGHT - TOP - BOTTOM);
  const gap = each > 5 ? 1 : each > 2 ? 0.5 : 0;
  const [first, last] = from === null ? [at, at] : [Math.min(from, at!), Math.max(from, at!)];
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label={t("logs.histogram")}>
      {[0, top / 2, top].map((mark) => (
        <g key={mark} class="log-mark">
          <line x1={LEFT} x2={width - RIGHT} y1={Math.round(y(mark)) + 0.5} y2={Math.round(y(mark)) + 0.5} />
          {(mark !== top / 2 || top > 1) && (
            <text x={LEFT - 8} y={y(mark) + 4} text-anchor="end">
              {formatCount(mark)}
            </text>
          )}
        </g>
      ))}
      {first !== null && last !== null && (
        <rect
          class={from === null ? "log-here" : "log-brush"}
          x={LEFT + first * each}
          width={(last - first + 1) * each}
          y={TOP}
          height={HEIGHT - TOP - BOTTOM}
        />
      )}
      {stacked(bars).map((part) => (
        <rect
          key={`${part.bucket} ${part.colour} ${part.below}`}
          x={LEFT + part.bucket * each + gap / 2}
          width={Math.max(1, each - gap)}
          y={y(part.below + part.count)}
          height={Math.max(1, y(part.below) - y(part.below + part.count))}
          style={{ fill: `var(${part.colour})` }}
        />
      ))}
      <Times bars={bars} inner={inner} width={width} />
    </svg>
  );
}

function stacked(bars: Bars): { bucket: number; colour: string; below: number; count: number }[] {
  const below = new Array<number>(bars.buckets).fill(0);
  return bars.series.flatMap((series) =>
    series.counts.flatMap((count, bucket) => {
      if (!count) return [];
      const part = { bucket, colour: series.colour, below: below[bucket]!, count };
      below[bucket] = below[bucket]! + count;
      return [part];
    }),
  );
}

function Times({ bars, inner, width }: { bars: Bars; inner: number; width: number }) {
  const span = bars.step * bars.buckets;
  const text = (tick: number) =>
    span > 172_800 ? dateTime(tick).slice(5, 16) : clockTime(tick).slice(0, span < 600 ? 8 : 5);
  return (
    <>
      {timeTicks(bars.start, bars.start + span, Math.max(2, Math.floor(width / 140))).map((tick) => {
        const x = LEFT + ((tick - bars.start) / span) * inner;
        return (
          <text
            key={tick}
            class="log-time-mark"
            x={Math.min(x, width - 30)}
            y={HEIGHT - 6}
            text-anchor="middle"
          >
            {text(tick)}
          </text>
        );
      })}
    </>
  );
}

function Tip(props: { bars: Bars; at: number; from: number | null; inner: number }) {
  const { bars, at, from, inner } = props;
  const time = brushedTime(bars, from ?? at, at);
  const [first, last] = [Math.min(from ?? at, at), Math.max(from ?? at, at)];
  const sum = (counts: number[]) => counts.slice(first, last + 1).reduce((all, n) => all + n, 0);
  const x = LEFT + ((at + 0.5) / Math.max(1, bars.buckets)) * inner;
  return (
    <div class={`tip ${x > inner - 160 ? "tip-left" : ""}`} style={{ left: x, top: 0 }}>
      <b>
        {clockTime(time.from, bars.step < 1)} – {clockTime(time.to, bars.step < 1)}
      </b>
      {named(bars).map((series) =>
        sum(series.counts) > 0 ? (
          <span key={series.name} class="log-tip-row">
            <i style={{ background: `var(${series.colour})` }} />
            {seriesName(bars.by, series.name)} <b>{formatCount(sum(series.counts))}</b>
          </span>
        ) : null,
      )}
    </div>
  );
}
