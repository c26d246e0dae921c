/** What a reader says of an incident: worth telling, or not. What was said can be taken back. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type IncidentDetails, postFeedback, type Verdict } from "../api/incidents";
import { refreshNow } from "../app/clock";
import { Button, TextField } from "../components/Controls";
import { messageFor } from "../components/States";
import { t } from "../i18n";
import { Ago } from "../targets/Ago";

export function FeedbackCard({ one, reload }: { one: IncidentDetails; reload: () => void }) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const say = (verdict: Verdict | "") => {
    const control = new AbortController();
    running.current = control;
    setBusy(true);
    setProblem(null);
    postFeedback(one.id, { verdict, note: verdict ? note.trim() : "" }, control.signal)
      .then(() => {
        setNote("");
        reload();
        refreshNow();
      })
      .catch((error: Error) => control.signal.aborted || setProblem(messageFor(error)))
      .finally(() => control.signal.aborted || setBusy(false));
  };
  return (
    <section class="card feedback" data-testid="feedback">
      <header>
        <h2>{t("incidents.feedback")}</h2>
      </header>
      <div class="card-body">
        {one.feedback ? (
          <Said feedback={one.feedback} busy={busy} undo={() => say("")} />
        ) : (
          <>
            <TextField
              label={t("incidents.feedback.note")}
              placeholder={t("incidents.feedback.note")}
              value={note}
              onInput={setNote}
              testId="feedback-note"
            />
            <div class="feedback-actions">
              <Button
                icon="check"
                disabled={busy}
                data-testid="feedback-confirm"
                onClick={() => say("confirmed")}
              >
                {t("incidents.feedback.confirm")}
              </Button>
              <Button
                icon="close"
                disabled={busy}
                data-testid="feedback-dismiss"
                onClick={() => say("not-an-anomaly")}
              >
                {t("incidents.feedback.dismiss")}
              </Button>
            </div>
            <p class="muted feedback-text">{t("incidents.feedback.text")}</p>
          </>
        )}
        {problem && (
          <p class="text-bad" role="alert">
            {problem}
          </p>
        )}
      </div>
    </section>
  );
}

function Said(props: {
  feedback: NonNullable<IncidentDetails["feedback"]>;
  busy: boolean;
  undo: () => void;
}) {
  const { feedback, busy, undo } = props;
  return (
    <>
      <p class="feedback-said">
        <span class={`code ${feedback.verdict === "confirmed" ? "code-ok" : ""}`}>
          {t(`incidents.verdict.${feedback.verdict}`)}
        </span>
        <span class="muted">
          <Ago time={feedback.at} />
        </span>
        <Button tone="ghost" disabled={busy} data-testid="feedback-undo" onClick={undo}>
          {t("incidents.feedback.undo")}
        </Button>
      </p>
      {feedback.note && <blockquote class="feedback-note">{feedback.note}</blockquote>}
    </>
  );
}
