/** Peers of a service from the answers of three queries. */

import type { Sample } from "../api/prometheus";
import { isError } from "../lib/signals";

/** One peer: rates each second, p95 in milliseconds, TCP bytes each second. */
export interface Peer {
  name: string;
  namespace: string;
  version: string;
  rate: number;
  errors: number;
  p95: number | null;
  bytes: number;
}

/** One row a peer, from three answers that name peers by the same labels. */
export function mergePeers(
  names: readonly string[],
  requests: Sample[],
  p95: Sample[],
  bytes: Sample[],
): Peer[] {
  const peers = new Map<string, Peer>();
  const at = ({ labels }: Sample): Peer => {
    const [name = "", namespace = "", version = ""] = names.map((label) => labels[label] ?? "");
    const key = `${namespace}/${name}/${version}`;
    const peer = peers.get(key) ?? { name, namespace, version, rate: 0, errors: 0, p95: null, bytes: 0 };
    peers.set(key, peer);
    return peer;
  };
  for (const sample of requests) {
    const peer = at(sample);
    peer.rate += sample.value;
    if (isError(sample.labels)) peer.errors += sample.value;
  }
  for (const sample of p95) if (Number.isFinite(sample.value)) at(sample).p95 = sample.value;
  for (const sample of bytes) at(sample).bytes += sample.value;
  return [...peers.values()].filter((peer) => peer.rate > 0 || peer.bytes > 0);
}
