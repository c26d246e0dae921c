/** On other pages: the open incidents of a service, or all of them, as links to their details. */

import type { Incident } from "../api/incidents";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { Ago } from "../targets/Ago";
import { openByService } from "./events";
import { SeverityMark } from "./IncidentRow";
import { incidentHref } from "./links";
import { titleOf } from "./words";

export function ServiceIncidents({ name }: { name: string }) {
  const open = openByService.value.get(name) ?? [];
  if (open.length === 0) return null;
  return <IncidentLinks title={t("events.ofService")} incidents={open} />;
}

export function IncidentLinks({ title, incidents }: { title: string; incidents: readonly Incident[] }) {
  return (
    <section class="card incident-links" aria-label={title} data-testid="incident-links">
      {incidents.map((one) => (
        <a key={one.id} href={incidentHref(one.id)}>
          <SeverityMark one={one} />
          <b class="truncate">{titleOf(one)}</b>
          <span class="muted">
            <Ago time={one.start} />
          </span>
          <Icon name="right" size={12} />
        </a>
      ))}
    </section>
  );
}
