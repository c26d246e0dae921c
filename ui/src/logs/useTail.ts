/** Follows lines as they are stored. While paused nothing is read; going on misses none. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type LogLine, tailAddress } from "../api/logs";
import { arrived, type TailItem } from "./tail";

export type TailStatus = "connecting" | "following" | "paused" | "broken";

interface Tail {
  items: TailItem[];
  status: TailStatus;
  clear: () => void;
}

/** Lines that arrive within this time are shown together. */
const TOGETHER_MS = 100;

export function useTail(query: { q: string; kind: string } | null, paused: boolean): Tail {
  const key = query ? JSON.stringify([query.q, query.kind]) : "";
  const [items, setItems] = useState<TailItem[]>([]);
  const [status, setStatus] = useState<TailStatus>("connecting");
  const last = useRef("");
  useEffect(() => {
    last.current = "";
    setItems([]);
  }, [key]);
  useEffect(() => {
    if (!query || paused) return;
    setStatus("connecting");
    return follow(
      { ...query, after: last.current },
      (position, news) => {
        last.current = position;
        setItems((shown) => arrived(shown, news));
      },
      setStatus,
    );
  }, [key, paused]);
  return { items, status: paused ? "paused" : status, clear: () => setItems([]) };
}

/** Opens the stream; the returned function closes it. */
function follow(
  query: { q: string; kind: string; after: string },
  show: (position: string, news: TailItem[]) => void,
  tell: (status: TailStatus) => void,
): () => void {
  const source = new EventSource(tailAddress(query));
  let waiting: TailItem[] = [];
  let position = query.after;
  let timer = 0;
  const flush = () => {
    timer = 0;
    const news = waiting;
    waiting = [];
    if (news.length) show(position, news);
  };
  const take = (event: MessageEvent<string>, item: TailItem) => {
    position = event.lastEventId;
    waiting.push(item);
    timer ||= window.setTimeout(flush, TOGETHER_MS);
  };
  source.addEventListener("open", () => tell("following"));
  source.addEventListener("error", () =>
    tell(source.readyState === EventSource.CLOSED ? "broken" : "connecting"),
  );
  source.addEventListener("line", (event: MessageEvent<string>) =>
    take(event, { kind: "line", line: JSON.parse(event.data) as LogLine }),
  );
  source.addEventListener("skipped", (event: MessageEvent<string>) => {
    const { lines } = JSON.parse(event.data) as { lines: number };
    take(event, { kind: "skipped", id: `skipped ${event.lastEventId}`, lines });
  });
  return () => {
    source.close();
    window.clearTimeout(timer);
    flush();
  };
}
