/** Found traces by time and duration; errors in red; larger with more spans. A click opens one. */

import { useRef, useState } from "preact/hooks";
import { navigate } from "../app/router";
import { t } from "../i18n";
import { formatMicros } from "../lib/format";
import { useWidth } from "../lib/useWidth";
import { clockTime, dateTime } from "../lib/time";
import { durationTicks, logScale, timeTicks } from "./scale";
import type { TraceSummary } from "./summary";

const HEIGHT = 176;
const LEFT = 60;
const RIGHT = 16;
const TOP = 10;
const BOTTOM = 24;

interface Props {
  traces: TraceSummary[];
  /** Seconds since 1970. */
  from: number;
  to: number;
}

export function Scatter({ traces, ...asked }: Props) {
  const { from, to } = shownTimes(traces, asked);
  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  const [hovered, setHovered] = useState<TraceSummary | null>(null);

  const durations = traces.map((trace) => trace.duration);
  const [low, high] = [Math.min(...durations), Math.max(...durations)];
  const y = logScale(low, high, HEIGHT - BOTTOM, TOP);
  const x = (seconds: number) => LEFT + ((seconds - from) / (to - from)) * (width - LEFT - RIGHT);
  const dot = (trace: TraceSummary) => ({ cx: x(trace.start / 1e6), cy: y(trace.duration) });
  return (
    <div class="scatter" ref={root}>
      {width > 0 && traces.length > 0 && (
        <svg width={width} height={HEIGHT} role="img" aria-label={t("traces.scatter")}>
          {durationTicks(low, high).map((tick) => (
            <g key={tick} class="scatter-tick">
              <line x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} />
              <text x={LEFT - 8} y={y(tick) + 4} text-anchor="end">
                {formatMicros(tick)}
              </text>
            </g>
          ))}
          {timeTicks(from, to, Math.max(2, Math.floor(width / 160))).map((tick) => (
            <text key={tick} class="scatter-time" x={x(tick)} y={HEIGHT - 6} text-anchor="middle">
              {to - from > 172_800
                ? dateTime(tick).slice(5, 16)
                : clockTime(tick).slice(0, to - from < 600 ? 8 : 5)}
            </text>
          ))}
          {[...traces]
            .sort((a, b) => a.errors - b.errors)
            .map((trace) => (
              <circle
                key={trace.id}
                class={trace.errors ? "scatter-dot bad" : "scatter-dot"}
                {...dot(trace)}
                r={3 + Math.min(5, Math.sqrt(trace.spans) / 2)}
                onPointerEnter={() => setHovered(trace)}
                onPointerLeave={() => setHovered(null)}
                onClick={() => navigate(`/traces/${trace.id}`)}
              />
            ))}
        </svg>
      )}
      {hovered && (
        <Tip
          trace={hovered}
          left={dot(hovered).cx}
          top={dot(hovered).cy}
          flip={dot(hovered).cx > width - 260}
        />
      )}
    </div>
  );
}

/** The asked interval; only the part with traces in it where they fill less than half. */
function shownTimes(
  traces: TraceSummary[],
  asked: { from: number; to: number },
): { from: number; to: number } {
  const starts = traces.map((trace) => trace.start / 1e6);
  const [first, last] = [Math.min(...starts), Math.max(...starts)];
  const room = Math.max(2, (last - first) * 0.04);
  return last - first < (asked.to - asked.from) / 2 ? { from: first - room, to: last + room } : asked;
}

function Tip(props: { trace: TraceSummary; left: number; top: number; flip: boolean }) {
  const { trace, left, top, flip } = props;
  return (
    <div class={`tip ${flip ? "tip-left" : ""}`} style={{ left, top }}>
      <b class="truncate">{trace.operation}</b>
      <span>
        {formatMicros(trace.duration)} · {dateTime(trace.start / 1e6)}
      </span>
    </div>
  );
}
