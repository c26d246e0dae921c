/** Switches the marks of changes and the shades of incidents on charts off and on; remembered in the browser. */

import { Button } from "../components/Controls";
import { t } from "../i18n";
import { eventsShown, showEvents } from "./events";

export function EventsToggle() {
  return (
    <Button
      tone="ghost"
      icon="insights"
      aria-pressed={eventsShown.value}
      title={t("events.show.title")}
      data-testid="events-toggle"
      onClick={() => showEvents(!eventsShown.value)}
    >
      {t("events.show")}
    </Button>
  );
}
