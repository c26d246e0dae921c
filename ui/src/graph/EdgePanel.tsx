/** An edge: its numbers, its security, its charts, how requests ended, and sample traces. */

import { errorTone } from "../components/Health";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { DASH, formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import type { Graph, GraphEdge, GraphNode } from "./model";
import { ResponseTable } from "./ResponseTable";
import { SampleTraces } from "./SampleTraces";
import { Facts, PanelHeader, PanelSection } from "./SidePanel";
import { SignalCharts, TcpCharts } from "./SignalCharts";
import { writeSettings } from "./settings";
import { edgeTraffic, tracedService } from "./target";

export function EdgePanel({ edge, graph }: { edge: GraphEdge; graph: Graph }) {
  const source = graph.nodes.find((node) => node.id === edge.source);
  const target = graph.nodes.find((node) => node.id === edge.target);
  const traffic = edgeTraffic(edge, graph);
  const tcp = edge.protocol === "tcp";
  return (
    <>
      <PanelHeader kind={`${t("graph.edge")} · ${edge.protocol.toUpperCase()}`}>
        <h1 class="edge-title">
          <EndLink node={source} id={edge.source} />
          <Icon name="right" size={14} />
          <EndLink node={target} id={edge.target} />
        </h1>
        <p class="panel-sub">
          <MutualTls edge={edge} />
        </p>
      </PanelHeader>
      <Facts facts={tcp ? tcpFacts(edge) : requestFacts(edge)} />
      {tcp ? <TcpCharts traffic={traffic} /> : <SignalCharts traffic={traffic} />}
      {!tcp && <ResponseTable edges={[edge]} />}
      <Identities edge={edge} />
      {!tcp && <SampleTraces service={tracedService(target)} caller={tracedService(source)} />}
    </>
  );
}

function requestFacts(edge: GraphEdge) {
  return [
    { label: t("metric.rate"), value: formatRate(edge.rate) },
    { label: t("metric.errorRatio"), value: formatRatio(edge.errorRatio), tone: errorTone(edge.errorRatio) },
    { label: "p95", value: edge.p95 === null ? DASH : formatMs(edge.p95) },
    { label: t("graph.label.share"), value: edge.share === null ? DASH : formatRatio(edge.share) },
  ];
}

function tcpFacts(edge: GraphEdge) {
  return [{ label: t("metric.throughput"), value: formatByteRate(edge.rate) }];
}

function EndLink({ node, id }: { node: GraphNode | undefined; id: string }) {
  return (
    <button type="button" class="link" onClick={() => writeSettings({ selected: id })}>
      {node?.title ?? id}
      {node?.version && <span class="tag">{node.version}</span>}
    </button>
  );
}

function MutualTls({ edge }: { edge: GraphEdge }) {
  if (edge.mtls === null)
    return (
      <span class="muted">
        {t("metric.mtls")}: {DASH}
      </span>
    );
  const full = edge.mtls >= 0.9995;
  return (
    <span class={full ? "text-ok with-icon" : "text-warn with-icon"}>
      <Icon name={full ? "lock" : "unlock"} size={14} />
      {t("metric.mtls")} {formatRatio(edge.mtls)}
    </span>
  );
}

function Identities({ edge }: { edge: GraphEdge }) {
  if (!edge.sourcePrincipal && !edge.destPrincipal) return null;
  const row = (label: string, value: string) => (
    <div>
      <dt>{label}</dt>
      <dd class="mono">{value || DASH}</dd>
    </div>
  );
  return (
    <PanelSection title={t("panel.principals")}>
      <dl class="pairs">
        {row(t("panel.source"), edge.sourcePrincipal)}
        {row(t("panel.destination"), edge.destPrincipal)}
      </dl>
    </PanelSection>
  );
}
