/** A node: what comes in, what goes out, its charts, its neighbours and sample traces. */

import { useState } from "preact/hooks";
import type { Health as ServiceHealth } from "../api/own";
import { linkTo } from "../app/router";
import { Segmented } from "../components/Controls";
import { errorTone, HealthBadge } from "../components/Health";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { incidentsOf } from "../insights/events";
import { IncidentLinks } from "../insights/IncidentBanner";
import { DASH, formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import type { Graph, GraphEdge, GraphNode, Health } from "./model";
import { ResponseTable } from "./ResponseTable";
import { SampleTraces } from "./SampleTraces";
import { Facts, PanelHeader, PanelSection } from "./SidePanel";
import { SignalCharts, TcpCharts } from "./SignalCharts";
import { writeSettings } from "./settings";
import { nodeTraffic, tracedService } from "./target";

const HEALTH: Record<Health, ServiceHealth> = {
  healthy: "Healthy",
  tcp: "Healthy",
  degraded: "Degraded",
  failing: "Failure",
  idle: "NA",
};

type Side = "inbound" | "outbound";

export function NodePanel({ node, graph }: { node: GraphNode; graph: Graph }) {
  const incoming = graph.edges.filter((edge) => edge.target === node.id);
  const outgoing = graph.edges.filter((edge) => edge.source === node.id);
  const [chosen, setSide] = useState<Side | null>(null);
  const side = chosen ?? (incoming.length ? "inbound" : "outbound");
  const edges = side === "inbound" ? incoming : outgoing;
  const traffic = nodeTraffic(node, graph, side);
  const requests = edges.filter((edge) => edge.protocol !== "tcp");
  const tcp = edges.filter((edge) => edge.protocol === "tcp");
  return (
    <>
      <PanelHeader kind={`${t(`graph.kind.${node.kind}`)} · ${node.namespace}`}>
        <h1>
          {node.title}
          {node.version && <span class="tag">{node.version}</span>}
        </h1>
        <p class="panel-sub">
          <HealthBadge health={HEALTH[node.health]} />
          {node.share !== null && (
            <span class="muted">
              {t("graph.label.share")} {formatRatio(node.share)}
            </span>
          )}
          <ServiceLink node={node} />
        </p>
      </PanelHeader>
      <NodeIncidents node={node} />
      <div class="panel-tabs">
        <Segmented
          label={t("panel.traffic")}
          value={side}
          onChange={setSide}
          options={[
            { value: "inbound", label: t("panel.inbound") },
            { value: "outbound", label: t("panel.outbound") },
          ]}
        />
      </div>
      {edges.length === 0 && <p class="panel-empty">{t("panel.noTraffic")}</p>}
      {edges.length > 0 && <SideFacts edges={edges} />}
      {requests.length > 0 && <SignalCharts key={side} traffic={traffic} />}
      {tcp.length > 0 && <TcpCharts key={`tcp ${side}`} traffic={traffic} />}
      <Neighbours edges={edges} graph={graph} side={side} />
      {requests.length > 0 && <ResponseTable edges={requests} />}
      <SampleTraces service={tracedService(node)} />
    </>
  );
}

function NodeIncidents({ node }: { node: GraphNode }) {
  const open = incidentsOf(node);
  if (open.length === 0) return null;
  return <IncidentLinks title={t("events.ofService")} incidents={open} />;
}

function ServiceLink({ node }: { node: GraphNode }) {
  const name = node.service || node.app;
  if (!name || node.kind === "gateway" || node.kind === "unknown") return null;
  return (
    <a class="panel-link" href={linkTo(`/services/${node.namespace}/${name}`)}>
      {t("panel.open")}
      <Icon name="right" size={12} />
    </a>
  );
}

function SideFacts({ edges }: { edges: GraphEdge[] }) {
  const requests = edges.filter((edge) => edge.protocol !== "tcp");
  const rate = requests.reduce((sum, edge) => sum + edge.rate, 0);
  const errors = requests.reduce((sum, edge) => sum + edge.rate * edge.errorRatio, 0);
  const bytes = edges.filter((edge) => edge.protocol === "tcp").reduce((sum, edge) => sum + edge.rate, 0);
  const ratio = rate > 0 ? errors / rate : 0;
  const worst = Math.max(
    ...requests.map((edge) => edge.p95 ?? Number.NaN).filter((value) => !Number.isNaN(value)),
  );
  const facts = [];
  if (requests.length) {
    facts.push(
      { label: t("metric.rate"), value: formatRate(rate) },
      { label: t("metric.errorRatio"), value: formatRatio(ratio), tone: errorTone(ratio) },
      { label: "p95 ≤", value: Number.isFinite(worst) ? formatMs(worst) : DASH },
    );
  }
  if (requests.length < edges.length) facts.push({ label: "TCP", value: formatByteRate(bytes) });
  return <Facts facts={facts} />;
}

function Neighbours({ edges, graph, side }: { edges: GraphEdge[]; graph: Graph; side: Side }) {
  if (edges.length === 0) return null;
  const peer = (edge: GraphEdge) => {
    const id = side === "inbound" ? edge.source : edge.target;
    const node = graph.nodes.find((one) => one.id === id);
    return node ? [node.title, node.version].filter(Boolean).join(" ") : id;
  };
  return (
    <PanelSection title={side === "inbound" ? t("panel.source") : t("panel.destination")}>
      <ul class="peer-list">
        {[...edges]
          .sort((a, b) => b.rate - a.rate)
          .map((edge) => (
            <li key={edge.id}>
              <button type="button" onClick={() => writeSettings({ selected: edge.id })}>
                <i class={`dot dot-${edge.health}`} />
                <span class="truncate">{peer(edge)}</span>
                <span>{edge.protocol === "tcp" ? formatByteRate(edge.rate) : formatRate(edge.rate)}</span>
                <span class={errorTone(edge.errorRatio)}>
                  {edge.protocol === "tcp" ? "" : formatRatio(edge.errorRatio)}
                </span>
                <Icon name="right" size={12} />
              </button>
            </li>
          ))}
      </ul>
    </PanelSection>
  );
}
