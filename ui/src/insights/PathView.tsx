/** The calls of an incident as a small drawing: cards in columns, callers left, where it begins right. */

import type { IncidentDetails } from "../api/incidents";
import type { Why } from "../api/why";
import { fetchGraph } from "../api/kiali";
import { linkTo } from "../app/router";
import { parseGraph } from "../graph/model";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { factorText, fullName, type Placed, readFullName, servicesOf } from "./model";
import { callsOf, type Path, type PathNode, pathOf } from "./path";
import { signalName } from "./words";

const CARD = { width: 196, height: 52 };
const GAP = { x: 64, y: 14 };

/** Calls are those of the incident's time; what the answer tells is drawn while they are on their way. */
export function IncidentPath({ one }: { one: IncidentDetails }) {
  const end = Math.round(one.end ?? Math.min(Date.now() / 1000, one.start + 600));
  const calls = useCalls(one, one.start - 300, end);
  return <PathCard title={t("incidents.path")} path={pathOf(one, calls, one.why)} />;
}

/** The path of an answer that belongs to no incident. */
export function WhyPath({ why }: { why: Why }) {
  const first = why.causes[0];
  if (!first) return null;
  const place: Placed = {
    service: first.service,
    namespace: first.namespace,
    anomalies: [],
  };
  return <PathCard title={t("why.path")} path={pathOf(place, [], why)} sufferer={fullName(why)} />;
}

function useCalls(one: Placed, from: number, to: number) {
  const namespaces = [...new Set(servicesOf(one).map((name) => readFullName(name).namespace))].filter(
    Boolean,
  );
  const seconds = Math.max(300, Math.min(to - from, 3600));
  const key = namespaces.length ? `path ${JSON.stringify([namespaces, Math.round(to / 60)])}` : null;
  const loaded = useData(
    key,
    (signal) =>
      fetchGraph(
        { graphType: "app", namespaces, seconds, to, serviceNodes: false, idle: false },
        signal,
      ).then((raw) => callsOf(parseGraph(raw))),
    { live: false },
  );
  return loaded.data ?? [];
}

function PathCard({ title, path, sufferer }: { title: string; path: Path; sufferer?: string }) {
  if (path.nodes.length < 2) return null;
  const width = path.columns * CARD.width + (path.columns - 1) * GAP.x;
  const height = path.rows * CARD.height + (path.rows - 1) * GAP.y;
  return (
    <section class="card" data-testid="incident-path">
      <header>
        <h2>{title}</h2>
      </header>
      <div class="path-scroll">
        <div class="path" style={{ width: `${width}px`, height: `${height}px` }}>
          <svg width={width} height={height} aria-hidden="true">
            <defs>
              {["", "-bad"].map((tone) => (
                <marker
                  key={tone}
                  id={`path-arrow${tone}`}
                  class={`path-arrow${tone}`}
                  viewBox="0 0 8 8"
                  refX="7"
                  refY="4"
                  markerWidth="8"
                  markerHeight="8"
                  markerUnits="userSpaceOnUse"
                  orient="auto"
                >
                  <path d="M0.5 0.8 7.5 4 0.5 7.2z" />
                </marker>
              ))}
            </defs>
            {path.edges.map((edge) => (
              <path
                key={`${edge.caller} ${edge.callee}`}
                class={`path-edge ${edge.suspect ? "path-suspect" : ""}`}
                d={curve(path, edge.caller, edge.callee)}
                marker-end={`url(#path-arrow${edge.suspect ? "-bad" : ""})`}
              >
                {edge.suspect && <title>{t("incidents.path.suspect")}</title>}
              </path>
            ))}
          </svg>
          {path.nodes.map((node) => (
            <Card key={node.name} node={node} path={path} sufferer={node.name === sufferer} />
          ))}
        </div>
      </div>
    </section>
  );
}

function Card({ node, path, sufferer }: { node: PathNode; path: Path; sufferer: boolean }) {
  const { x, y } = place(path, node);
  const role = node.role === "way" && sufferer ? "odd" : node.role;
  return (
    <a
      class={`path-card path-${role}`}
      href={linkTo(`/services/${node.namespace}/${node.service}`)}
      style={{ left: `${x}px`, top: `${y}px`, width: `${CARD.width}px`, height: `${CARD.height}px` }}
    >
      <span class="path-name">
        <b class="truncate">{node.service}</b>
        <span class="muted truncate">{node.namespace}</span>
      </span>
      <span class="path-odd truncate">
        {node.odd.length > 0
          ? node.odd.map(({ signal, factor }) => `${signalName(signal)} ${factorText(factor)}`).join(" · ")
          : t(`incidents.path.${role}`)}
      </span>
    </a>
  );
}

/** Columns with fewer cards than the highest are centred. */
function place(path: Path, node: PathNode): { x: number; y: number } {
  const rows = path.nodes.filter((one) => one.column === node.column).length;
  const offset = ((path.rows - rows) * (CARD.height + GAP.y)) / 2;
  return { x: node.column * (CARD.width + GAP.x), y: offset + node.row * (CARD.height + GAP.y) };
}

/** From the caller's right edge to the callee's left; a call back, or within a column, bends around. */
function curve(path: Path, caller: string, callee: string): string {
  const [from, to] = [caller, callee].map((name) => path.nodes.find((node) => node.name === name)!);
  const [a, b] = [place(path, from!), place(path, to!)];
  const [y1, y2] = [a.y + CARD.height / 2, b.y + CARD.height / 2];
  if (from!.column < to!.column) {
    const [x1, x2] = [a.x + CARD.width, b.x - 3];
    const half = Math.max(24, (x2 - x1) / 2);
    return `M${x1} ${y1}C${x1 + half} ${y1} ${x2 - half} ${y2} ${x2} ${y2}`;
  }
  if (from!.column === to!.column) {
    const x = a.x + CARD.width;
    return `M${x} ${y1}C${x + 36} ${y1} ${x + 36} ${y2} ${x + 3} ${y2}`;
  }
  const [x1, x2] = [a.x, b.x + CARD.width + 3];
  const half = Math.max(24, (x1 - x2) / 2);
  return `M${x1} ${y1}C${x1 - half} ${y1} ${x2 + half} ${y2} ${x2} ${y2}`;
}
