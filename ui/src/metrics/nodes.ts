/** Times of an evaluated tree, given in pre-order. */

import type { NodeCost } from "../api/prometheus";

/** A node's own time: its total without that of its children. */
export function ownTimes(nodes: NodeCost[]): number[] {
  return nodes.map((node, at) => {
    let own = node.milliseconds;
    for (let next = at + 1; next < nodes.length && nodes[next]!.depth > node.depth; next += 1) {
      if (nodes[next]!.depth === node.depth + 1) own -= nodes[next]!.milliseconds;
    }
    return Math.max(0, own);
  });
}
