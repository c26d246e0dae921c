/** Time range, refresh interval and pause: the same control on every page. */

import { useState } from "preact/hooks";
import { Button, IconButton } from "../components/Controls";
import { Icon } from "../components/Icon";
import { Popover } from "../components/Popover";
import { durationWords, t } from "../i18n";
import { fromInputTime, inputTime, intervalText, resolve } from "../lib/time";
import { paused, REFRESH_CHOICES, refreshNow, refreshSeconds, setRefresh } from "./clock";
import { currentRange, setRange } from "./range";
import { path } from "./router";

const PRESETS = [60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];

export function TimeControl() {
  if (isTracePage(path.value) || path.value === "/dashboards") return null;
  return (
    <div class="time-control">
      {hasRange(path.value) && <RangePicker />}
      <span class="button-group">
        <RefreshPicker />
        <IconButton
          label={paused.value ? t("refresh.resume") : t("refresh.pause")}
          icon={paused.value ? "play" : "pause"}
          pressed={paused.value}
          data-testid="pause"
          onClick={() => {
            paused.value = !paused.value;
            if (!paused.value) refreshNow();
          }}
        />
        <IconButton label={t("refresh.now")} icon="refresh" data-testid="refresh-now" onClick={refreshNow} />
      </span>
    </div>
  );
}

/** One trace, or two: what they tell is of no other time. */
const isTracePage = (pathname: string): boolean => /^\/traces\/([0-9a-f]+|compare)$/i.test(pathname);

/** Rules, targets and the server's status are those of now, and "why" asks about one moment; one trace needs neither
 * a range nor a refresh. */
const hasRange = (pathname: string): boolean =>
  !["/status", "/targets", "/cardinality", "/alerts", "/insights/why"].includes(pathname);

function RangePicker() {
  const range = currentRange();
  const text =
    range.kind === "relative"
      ? t("time.last", { duration: durationWords(range.seconds) })
      : intervalText(range.from, range.to, Date.now() / 1000);
  return (
    <Popover label={t("time.label")} text={text} icon="clock" align="right" testId="time-range">
      {(close) => (
        <div class="range-panel">
          <ul class="menu">
            {PRESETS.map((seconds) => (
              <li key={seconds}>
                <button
                  type="button"
                  class="menu-item"
                  aria-pressed={range.kind === "relative" && range.seconds === seconds}
                  onClick={() => {
                    setRange({ kind: "relative", seconds });
                    close();
                  }}
                >
                  {t("time.last", { duration: durationWords(seconds) })}
                </button>
              </li>
            ))}
          </ul>
          <AbsoluteForm close={close} />
        </div>
      )}
    </Popover>
  );
}

function AbsoluteForm({ close }: { close: () => void }) {
  const now = resolve(currentRange(), Date.now() / 1000);
  const [from, setFrom] = useState(inputTime(now.from));
  const [to, setTo] = useState(inputTime(now.to));
  const [start, end] = [fromInputTime(from), fromInputTime(to)];
  const valid = start !== null && end !== null && end > start;
  const field = (label: string, value: string, set: (value: string) => void) => (
    <label class="field">
      <span class="field-label">{label}</span>
      <input
        class="input"
        type="datetime-local"
        step="1"
        value={value}
        onInput={(e) => set(e.currentTarget.value)}
      />
    </label>
  );
  return (
    <form
      class="range-absolute"
      onSubmit={(event) => {
        event.preventDefault();
        if (!valid) return;
        setRange({ kind: "absolute", from: start, to: end });
        close();
      }}
    >
      <h3>{t("time.custom")}</h3>
      {field(t("time.from"), from, setFrom)}
      {field(t("time.to"), to, setTo)}
      {!valid && <p class="field-problem">{t("time.invalid")}</p>}
      <Button type="submit" tone="primary" disabled={!valid}>
        {t("time.apply")}
      </Button>
    </form>
  );
}

function RefreshPicker() {
  const seconds = refreshSeconds();
  const name = (value: number) => (value === 0 ? t("refresh.off") : durationWords(value));
  return (
    <Popover
      label={t("refresh.label")}
      text={
        <span class={paused.value ? "text-warn" : ""}>
          {paused.value ? t("refresh.paused") : name(seconds)}
        </span>
      }
      align="right"
      testId="refresh"
    >
      {(close) => (
        <ul class="menu">
          {REFRESH_CHOICES.map((value) => (
            <li key={value}>
              <button
                type="button"
                class="menu-item"
                aria-pressed={value === seconds}
                onClick={() => {
                  setRefresh(value);
                  paused.value = false;
                  close();
                }}
              >
                {value === 0 ? t("refresh.off") : t("refresh.every", { duration: durationWords(value) })}
                {value === seconds && <Icon name="check" size={12} />}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}
