/** What the graph page shows, read from and written to the URL. */

import type { GraphType } from "../api/kiali";
import { params, setParams } from "../app/router";

export const GRAPH_TYPES: GraphType[] = ["versionedApp", "app", "workload", "service"];
export const LABELS = ["rate", "errors", "p95", "throughput", "share"] as const;
export type EdgeLabel = (typeof LABELS)[number];

export interface GraphSettings {
  type: GraphType;
  namespaces: string[];
  labels: EdgeLabel[];
  mtls: boolean;
  serviceNodes: boolean;
  idle: boolean;
  boxes: boolean;
  motion: boolean;
  find: string;
  hide: string;
  selected: string | null;
}

const list = (text: string | null): string[] => (text ? text.split(",").filter(Boolean) : []);

export function readSettings(query: URLSearchParams = params.value): GraphSettings {
  const type = query.get("type") as GraphType;
  const labels = query.get("labels");
  return {
    type: GRAPH_TYPES.includes(type) ? type : "versionedApp",
    namespaces: list(query.get("ns")),
    labels: labels === null ? ["rate"] : LABELS.filter((label) => list(labels).includes(label)),
    mtls: query.get("mtls") !== "off",
    serviceNodes: query.get("services") === "on",
    idle: query.get("idle") === "on",
    boxes: query.get("boxes") !== "off",
    motion: query.get("motion") === "on",
    find: query.get("find") ?? "",
    hide: query.get("hide") ?? "",
    selected: query.get("sel"),
  };
}

export function writeSettings(changes: Partial<GraphSettings>): void {
  const query: Record<string, string | null> = {};
  if (changes.type) query.type = changes.type === "versionedApp" ? null : changes.type;
  if (changes.namespaces) query.ns = changes.namespaces.join(",");
  if (changes.labels)
    query.labels =
      changes.labels.length === 1 && changes.labels[0] === "rate" ? null : changes.labels.join(",") || "none";
  if (changes.mtls !== undefined) query.mtls = changes.mtls ? null : "off";
  if (changes.serviceNodes !== undefined) query.services = changes.serviceNodes ? "on" : null;
  if (changes.idle !== undefined) query.idle = changes.idle ? "on" : null;
  if (changes.boxes !== undefined) query.boxes = changes.boxes ? null : "off";
  if (changes.motion !== undefined) query.motion = changes.motion ? "on" : null;
  if (changes.find !== undefined) query.find = changes.find;
  if (changes.hide !== undefined) query.hide = changes.hide;
  if (changes.selected !== undefined) query.sel = changes.selected;
  setParams(query);
}
