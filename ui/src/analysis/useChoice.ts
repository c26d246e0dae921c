/** The traces that an analysis is about: the query and the time range of the page. */

import type { Choice } from "../api/analysis";
import { currentRange } from "../app/range";
import { params } from "../app/router";
import { resolve } from "../lib/time";
import { readState } from "../traces/searchState";

export interface Chosen {
  q: string;
  /** Names the choice, for `useData`. */
  key: string;
  /** The choice with its times as of now. */
  now: () => Choice;
}

/** Newest traces that an analysis reads. */
const LIMIT = 1000;

export function useChoice(): Chosen {
  const range = currentRange();
  const { q } = readState(params.value);
  return {
    q,
    key: JSON.stringify([q, range]),
    now: () => {
      const { from, to } = resolve(range, Date.now() / 1000);
      return { q, start: from, end: to, limit: LIMIT };
    },
  };
}
