/** Queries to begin with. */

import { type PlainKey, t } from "../i18n";

const EXAMPLES: { title: PlainKey; expr: string }[] = [
  {
    title: "metrics.example.rate",
    expr: 'sum by (destination_service_name) (rate(istio_requests_total{reporter="destination"}[1m]))',
  },
  {
    title: "metrics.example.errors",
    expr: 'sum by (destination_service_name) (rate(istio_requests_total{reporter="source", response_code=~"5.."}[5m])) / sum by (destination_service_name) (rate(istio_requests_total{reporter="source"}[5m]))',
  },
  {
    title: "metrics.example.p95",
    expr: 'histogram_quantile(0.95, sum by (destination_service_name, le) (rate(istio_request_duration_milliseconds_bucket{reporter="source"}[5m])))',
  },
  { title: "metrics.example.top", expr: 'topk(10, count by (__name__) ({__name__=~".+"}))' },
];

export function Examples({ onPick }: { onPick: (expr: string) => void }) {
  return (
    <ul class="examples" data-testid="examples">
      {EXAMPLES.map(({ title, expr }) => (
        <li key={title}>
          <button type="button" class="example" onClick={() => onPick(expr)}>
            <b>{t(title)}</b>
            <code class="truncate">{expr}</code>
          </button>
        </li>
      ))}
    </ul>
  );
}
