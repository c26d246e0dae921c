/** One row of the waterfall: a name in the tree and a bar on the time axis. */

import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { formatMicros } from "../lib/format";
import { memo } from "../lib/memo";
import { joined, type Section } from "./criticalPath";
import { spanTitle, tagOf } from "./summary";
import type { SpanNode } from "./tree";

interface Props {
  node: SpanNode;
  /** The span's parts of the critical path. */
  critical: Section[] | undefined;
  name: string;
  colour: number;
  collapsed: boolean;
  selected: boolean;
  matched: boolean;
  dim: boolean;
  /** The shown part of the trace, in microseconds from its start. */
  start: number;
  end: number;
  onSelect: () => void;
  onToggle: () => void;
}

/** Parts of the critical path closer than this part of the window are drawn as one. */
const FINEST = 1 / 500;
const INDENT = 14;
const DEEPEST = 16;

export const SpanRow = memo(function SpanRow(props: Props) {
  const { node, colour, collapsed, selected, matched, dim, start, end } = props;
  const parent = node.children.length > 0;
  const failed = node.error || (collapsed && node.errorBelow);
  const classes = ["span-row", selected && "chosen", matched && "matched", dim && "faded"]
    .filter(Boolean)
    .join(" ");
  return (
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events -- the page's keys j, k and Enter move over rows
    <div
      class={classes}
      id={`span-${node.span.spanID}`}
      role="treeitem"
      tabIndex={-1}
      aria-level={node.depth + 1}
      aria-selected={selected}
      aria-expanded={parent ? !collapsed : undefined}
      data-testid="span-row"
      onClick={props.onSelect}
    >
      <span class="span-name" style={{ paddingLeft: 12 + Math.min(node.depth, DEEPEST) * INDENT }}>
        {parent ? (
          <button
            type="button"
            class="span-toggle"
            tabIndex={-1}
            aria-label={t("trace.toggle")}
            onClick={(event) => {
              event.stopPropagation();
              props.onToggle();
            }}
          >
            <Icon name={collapsed ? "right" : "down"} size={12} />
          </button>
        ) : (
          <span class="span-toggle" />
        )}
        <i class="span-swatch" style={{ background: `var(--c${colour})` }} />
        <span class="truncate" title={`${node.service} ${node.span.operationName}`}>
          <b>{props.name}</b> <Kind node={node} />
          <span class="muted">{spanTitle(node.span)}</span>
        </span>
        {collapsed && <span class="tag">+{node.below}</span>}
        {failed && (
          <span class="span-error" title={node.errorRoot ? t("trace.errorRoot") : undefined}>
            <Icon name={node.errorRoot ? "target" : "warning"} size={14} />
          </span>
        )}
      </span>
      <Bar node={node} critical={props.critical} colour={colour} start={start} end={end} />
    </div>
  );
});

function Kind({ node }: { node: SpanNode }) {
  const kind = tagOf(node.span.tags, "span.kind");
  return kind ? <span class="span-kind">{String(kind)} </span> : null;
}

/** The bar, cut at the window's edges; its length stands beside it where there is room. */
function Bar(props: Pick<Props, "node" | "critical" | "colour" | "start" | "end">) {
  const { node, critical, colour, start, end } = props;
  const range = Math.max(1, end - start);
  const left = ((node.start - start) / range) * 100;
  const right = ((node.start + node.duration - start) / range) * 100;
  const [from, to] = [Math.max(0, Math.min(100, left)), Math.max(0, Math.min(100, right))];
  const outside = right < 0 || left > 100;
  return (
    <span class="span-track">
      {!outside && (
        <span
          class={`span-bar ${node.error ? "span-bar-error" : ""}`}
          style={{ left: `${from}%`, width: `max(2px, ${to - from}%)`, "--colour": `var(--c${colour})` }}
        >
          {(node.span.logs ?? []).map((log, index) => (
            <i
              key={index}
              style={{
                left: `${((log.timestamp - node.span.startTime) / Math.max(1, node.duration)) * 100}%`,
              }}
            />
          ))}
        </span>
      )}
      {!outside &&
        critical &&
        joined(critical, range * FINEST).map((section) => {
          const [a, b] = [section.start - start, section.start + section.duration - start].map((edge) =>
            Math.max(0, Math.min(100, (edge / range) * 100)),
          ) as [number, number];
          return (
            <em
              key={section.start}
              class="span-critical"
              style={{ left: `${a}%`, width: `max(1px, ${b - a}%)` }}
            />
          );
        })}
      {!outside && (
        <span class="span-length" style={{ left: `${to}%` }}>
          {formatMicros(node.duration)}
        </span>
      )}
    </span>
  );
}
