/** What a page shows when there is nothing yet, nothing at all, or an error. */

import type { ComponentChildren } from "preact";
import { ApiError } from "../api/client";
import { t } from "../i18n";
import type { Loaded } from "../lib/useData";
import { Button } from "./Controls";
import { Icon, type IconName } from "./Icon";

export function EmptyState(props: {
  title: string;
  text: string;
  icon?: IconName;
  children?: ComponentChildren;
}) {
  return (
    <div class="state" data-testid="empty-state">
      <span class="state-icon">
        <Icon name={props.icon ?? "wind"} size={22} />
      </span>
      <p class="state-title">{props.title}</p>
      <p class="state-text">{props.text}</p>
      {props.children && <div class="state-actions">{props.children}</div>}
    </div>
  );
}

export function messageFor(error: Error): string {
  return error instanceof ApiError && error.kind === "network" ? t("error.network") : error.message;
}

export function ErrorState({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div class="state state-error" role="alert" data-testid="error-state">
      <span class="state-icon">
        <Icon name="warning" size={22} />
      </span>
      <p class="state-title">{t("error.title")}</p>
      <p class="state-text">{messageFor(error)}</p>
      {retry && (
        <div class="state-actions">
          <Button icon="refresh" onClick={retry}>
            {t("common.retry")}
          </Button>
        </div>
      )}
    </div>
  );
}

/** A line above data that is still shown although the last refresh failed. */
export function ErrorBanner({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div class="banner banner-bad" role="alert">
      <Icon name="warning" />
      <span>{messageFor(error)}</span>
      <button type="button" class="link" onClick={retry}>
        {t("common.retry")}
      </button>
    </div>
  );
}

/** Grey lines in the shape of what is coming. */
export function Skeleton({ rows = 6, height = 16 }: { rows?: number; height?: number }) {
  return (
    <div class="skeleton" role="status" aria-busy="true" aria-label={t("common.loading")}>
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} style={{ height, width: `${92 - ((index * 37) % 40)}%` }} />
      ))}
    </div>
  );
}

/** The head of a page of data: an error instead of it or above it, or grey lines while it is on its way. */
export function LoadStates({ loaded, rows = 8 }: { loaded: Loaded<unknown>; rows?: number }) {
  const { data, error, loading, retry } = loaded;
  if (loading) {
    return (
      <section class="card">
        <Skeleton rows={rows} height={18} />
      </section>
    );
  }
  if (!error) return null;
  return data === undefined ? (
    <ErrorState error={error} retry={retry} />
  ) : (
    <ErrorBanner error={error} retry={retry} />
  );
}
