/** Buttons that steer a release; each is asked for twice, and says what became of it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Action, postAction, type ReleaseDetail } from "../api/releases";
import { refreshNow } from "../app/clock";
import { Button } from "../components/Controls";
import { Icon, type IconName } from "../components/Icon";
import { messageFor } from "../components/States";
import { t } from "../i18n";
import { ACTION_TONES } from "./model";

const ICONS: Record<Action, IconName> = {
  pause: "pause",
  resume: "play",
  promote: "up",
  rollback: "down",
  approve: "check",
  restart: "refresh",
};

export function Steering({ one, done }: { one: ReleaseDetail; done: () => void }) {
  const [asked, setAsked] = useState<Action | null>(null);
  const [state, setState] = useState<"doing" | Error | null>(null);
  const buttons = useRef<HTMLDivElement>(null);
  const act = (action: Action) => {
    setState("doing");
    postAction(one, action).then(
      () => {
        setState(null);
        setAsked(null);
        refreshNow();
        done();
      },
      (error: Error) => {
        setState(error);
        setAsked(null);
      },
    );
  };
  // What was asked may have become impossible by itself: a release that ended cannot be paused.
  const possible = asked !== null && one.actions.includes(asked);
  return (
    <div class="release-steering" ref={buttons}>
      {state instanceof Error && (
        <p class="banner banner-bad" role="alert" data-testid="steering-error">
          <Icon name="warning" />
          <span>{messageFor(state)}</span>
        </p>
      )}
      {possible ? (
        <Confirm
          one={one}
          action={asked}
          doing={state === "doing"}
          yes={() => act(asked)}
          no={() => {
            setAsked(null);
            requestAnimationFrame(() => buttons.current?.querySelector("button")?.focus());
          }}
        />
      ) : (
        <div class="release-buttons" role="group" aria-label={t("release.list")}>
          {one.actions.map((action) => (
            <Button
              key={action}
              icon={ICONS[action]}
              tone={ACTION_TONES[action] === "primary" ? "primary" : "plain"}
              class={ACTION_TONES[action] === "danger" ? "button-danger" : ""}
              onClick={() => {
                setState(null);
                setAsked(action);
              }}
              data-testid={`release-${action}`}
            >
              {t(`release.action.${action}`)}
            </Button>
          ))}
        </div>
      )}
    </div>
  );
}

function Confirm(props: {
  one: ReleaseDetail;
  action: Action;
  doing: boolean;
  yes: () => void;
  no: () => void;
}) {
  const { one, action, doing, yes, no } = props;
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = row.current;
    const leave = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !doing) no();
    };
    element?.addEventListener("keydown", leave);
    return () => element?.removeEventListener("keydown", leave);
  }, [doing]);
  useEffect(() => row.current?.querySelector("button")?.focus(), []);
  return (
    <div class="release-confirm" role="alertdialog" aria-label={t(`release.action.${action}`)} ref={row}>
      <span>{question(one, action)}</span>
      <span class="release-buttons">
        <Button
          icon="check"
          tone="primary"
          class={ACTION_TONES[action] === "danger" ? "button-danger" : ""}
          disabled={doing}
          onClick={yes}
          data-testid="release-confirm"
        >
          {doing
            ? t("release.doing")
            : t("release.ask.yes", { action: t(`release.action.${action}`).toLowerCase() })}
        </Button>
        <Button disabled={doing} onClick={no}>
          {t("release.ask.no")}
        </Button>
      </span>
    </div>
  );
}

function question(one: ReleaseDetail, action: Action): string {
  const version = one.canary;
  const service = one.service;
  switch (action) {
    case "pause":
      return t("release.ask.pause", { version });
    case "resume":
      return t("release.ask.resume", { weight: one.weight });
    case "promote":
      return t("release.ask.promote", { version, service });
    case "rollback":
      return t("release.ask.rollback", { version, service });
    case "approve":
      return t("release.ask.approve", { gate: one.waiting });
    case "restart":
      return t("release.ask.restart", { version });
  }
}
