/** What happened around an incident, in order: changes of the mesh, and what became of the incident. */

import type { IncidentDetails } from "../api/incidents";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { clockTime, dateTime } from "../lib/time";
import { refHref } from "./links";
import { type Moment, timeline } from "./model";

export function Timeline({ one }: { one: IncidentDetails }) {
  return (
    <section class="card" data-testid="incident-timeline">
      <header>
        <h2>{t("incidents.timeline")}</h2>
      </header>
      <ol class="timeline">
        {timeline(one).map((moment, index) => (
          <li key={index} class={`timeline-${moment.kind}`}>
            <time title={dateTime(moment.at)}>{clockTime(moment.at)}</time>
            <i>
              <Icon name={moment.kind === "change" ? "config" : "insights"} size={12} />
            </i>
            <Told moment={moment} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Told({ moment }: { moment: Moment }) {
  const kind = moment.kind === "change" ? t("incidents.timeline.change") : t("incidents.timeline.event");
  return (
    <span>
      <span class="visually-hidden">{kind}: </span>
      {moment.ref ? <a href={refHref(moment.ref)}>{moment.text}</a> : moment.text}
    </span>
  );
}
