/** A draft's way into the mesh: written by the server where it may, else copied or saved by the reader. */

import { useEffect, useState } from "preact/hooks";
import { type Drafted, fetchVersions, postApply, type Version } from "../api/config";
import { refreshNow, tick } from "../app/clock";
import { Button } from "../components/Controls";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { messageFor } from "../components/States";
import { t } from "../i18n";
import { configHref } from "./ConfigTabs";
import { shortFile } from "./model";

/** How often it is asked whether what was written has taken effect. */
const ASK_MS = 700;

export function ApplyCard({ draft, again }: { draft: Drafted; again: () => void }) {
  const [state, setState] = useState<{ files: string[]; version: string } | Error | "writing" | null>(null);
  const nothing = draft.resources.every((one) => one.change === "unchanged");
  const files = Object.keys(draft.expected);
  const apply = () => {
    setState("writing");
    postApply(
      { yaml: draft.yaml, name: draft.name, expected: draft.expected },
      new AbortController().signal,
    ).then(setState, (error: Error) => {
      setState(error);
      again();
    });
  };
  return (
    <section class="card" data-testid="config-apply">
      <header>
        <h2>{t("config.apply.title")}</h2>
        <span class="end head-actions">
          <CopyButton label={t("config.apply.copy")} text={() => draft.yaml} />
          <a
            class="button button-plain"
            download={`${draft.name}.yaml`}
            href={`data:application/yaml;charset=utf-8,${encodeURIComponent(draft.yaml)}`}
          >
            <span>{t("config.apply.download")}</span>
          </a>
          {!draft.no_writing && (
            <Button
              tone="primary"
              icon="check"
              disabled={draft.refused || nothing || state === "writing"}
              onClick={apply}
              data-testid="apply"
            >
              {t("config.apply.write")}
            </Button>
          )}
        </span>
      </header>
      {draft.no_writing ? (
        <p class="card-body muted">
          {t("config.apply.impossible")} {draft.no_writing}
        </p>
      ) : (
        <p class="card-body muted">
          {files.length > 0
            ? t("config.apply.files", { files: files.map(shortFile).join(", ") })
            : t("config.new.same")}
        </p>
      )}
      {state instanceof Error && (
        <p class="banner banner-bad" role="alert">
          <Icon name="warning" />
          {messageFor(state)}
        </p>
      )}
      {state !== null && state !== "writing" && !(state instanceof Error) && (
        <Written version={state.version} />
      )}
    </section>
  );
}

/** Follows what was written until it is live and the proxies have it. */
function Written({ version }: { version: string }) {
  const [live, setLive] = useState<Version | null>(null);
  useEffect(() => {
    const control = new AbortController();
    const ask = () =>
      fetchVersions({ limit: 1 }, control.signal).then(
        ([newest]) => {
          if (newest?.version !== version) return;
          if (live === null) refreshNow();
          setLive(newest);
        },
        () => undefined,
      );
    void ask();
    const timer = window.setInterval(() => void ask(), ASK_MS);
    return () => {
      window.clearInterval(timer);
      control.abort();
    };
  }, [version, live === null]);
  void tick.value;
  return (
    <p class="banner banner-ok" role="status" data-testid="applied">
      <Icon name="check" />
      {live === null ? (
        t("config.apply.written")
      ) : (
        <>
          <span>{t("config.apply.live", { n: live.number, proxies: live.acknowledged })}</span>
          <a href={configHref("history", { version: String(live.number) })}>{t("config.apply.see")}</a>
        </>
      )}
    </p>
  );
}
