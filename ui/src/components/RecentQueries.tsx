/** Queries run before: one click runs one again. */

import { t } from "../i18n";
import { type QueryList, recentQueries } from "../lib/recent";
import { Popover } from "./Popover";

interface Props {
  list: QueryList;
  onPick: (query: string) => void;
  align?: "left" | "right";
  iconOnly?: boolean;
}

export function RecentQueries({ list, onPick, ...place }: Props) {
  return (
    <Popover label={t("metrics.recent")} icon="clock" testId="recent-queries" {...place}>
      {(close) => {
        const queries = recentQueries(list);
        return (
          <div class="menu recent-queries">
            {queries.length === 0 && <p class="muted">{t("metrics.recent.none")}</p>}
            {queries.map((query) => (
              <button
                key={query}
                type="button"
                class="menu-item"
                title={query}
                onClick={() => {
                  close();
                  onPick(query);
                }}
              >
                <code class="truncate">{query}</code>
              </button>
            ))}
          </div>
        );
      }}
    </Popover>
  );
}
