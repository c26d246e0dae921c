/** Details of the chosen node or edge, at the right of the graph. */

import type { ComponentChildren } from "preact";
import { IconButton } from "../components/Controls";
import { t } from "../i18n";
import { EdgePanel } from "./EdgePanel";
import type { Graph } from "./model";
import { NodePanel } from "./NodePanel";
import { writeSettings } from "./settings";

export function SidePanel({ graph, selected }: { graph: Graph; selected: string | null }) {
  if (!selected) return null;
  const node = graph.nodes.find((one) => one.id === selected);
  const edge = graph.edges.find((one) => one.id === selected);
  if (!node && !edge) return null;
  return (
    <aside class="side-panel" aria-label={node ? t("graph.node") : t("graph.edge")} data-testid="side-panel">
      {node ? (
        <NodePanel key={node.id} node={node} graph={graph} />
      ) : (
        <EdgePanel key={edge!.id} edge={edge!} graph={graph} />
      )}
    </aside>
  );
}

export function PanelHeader(props: { kind: string; children: ComponentChildren }) {
  return (
    <header class="panel-header">
      <div>
        <p class="panel-kind">{props.kind}</p>
        {props.children}
      </div>
      <IconButton label={t("common.close")} icon="close" onClick={() => writeSettings({ selected: null })} />
    </header>
  );
}

export function PanelSection({
  title,
  extra,
  children,
}: {
  title: string;
  extra?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel-section">
      <h2>
        {title}
        {extra && <span class="panel-extra">{extra}</span>}
      </h2>
      {children}
    </section>
  );
}

export interface Fact {
  label: string;
  value: ComponentChildren;
  tone?: string;
}

/** Numbers side by side, each with its name below. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl class="facts">
      {facts.map((fact) => (
        <div key={fact.label}>
          <dt>{fact.label}</dt>
          <dd class={fact.tone ?? ""}>{fact.value}</dd>
        </div>
      ))}
    </dl>
  );
}
