/** What is or was odd: a list of incidents, and beside it the one that was chosen. */

import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api/client";
import { fetchIncidents, type Incident, type Incidents } from "../api/incidents";
import { currentRange, setRange } from "../app/range";
import { navigate, params, setParams } from "../app/router";
import { Button, Segmented, Select } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { type Loaded, useData } from "../lib/useData";
import { queryOf } from "./events";
import { IncidentDetail } from "./IncidentDetail";
import { IncidentRow } from "./IncidentRow";
import { InsightTabs } from "./InsightTabs";
import { incidentHref } from "./links";
import { type Filter, filtered, ordered, readFullName, servicesOf } from "./model";
import { WatchedCard } from "./WatchedCard";

const WEEK = 7 * 86_400;

export function IncidentsPage() {
  const range = currentRange();
  const loaded = useData(`incidents ${JSON.stringify(range)}`, (signal) =>
    fetchIncidents(queryOf(range), signal),
  );
  const id = params.value.get("incident");
  const filter = readFilter(params.value);
  const all = ordered(loaded.data?.incidents ?? []);
  const shown = filtered(all, filter);
  usePageKeys(shown, id);
  const absent = loaded.error instanceof ApiError && [404, 405].includes(loaded.error.status);
  return (
    <div class={`page incidents ${id ? "incidents-chosen" : ""}`}>
      <InsightTabs here="incidents" />
      {absent ? (
        <section class="card">
          <EmptyState title={t("incidents.off.title")} text={t("incidents.off.text")} icon="insights" />
        </section>
      ) : (
        <LoadStates loaded={loaded} />
      )}
      {loaded.data && !id && <WatchedCard watching={loaded.data.watching} />}
      {loaded.data && (
        <div class={id ? "incidents-split" : ""}>
          <List loaded={loaded} all={all} shown={shown} filter={filter} id={id} />
          {id && <IncidentDetail key={id} id={id} />}
        </div>
      )}
    </div>
  );
}

const STATES: Filter["state"][] = ["all", "open", "ended"];

function readFilter(query: URLSearchParams): Filter {
  return {
    state: STATES.find((one) => one === query.get("state")) ?? "all",
    service: query.get("service") ?? "",
    namespace: query.get("namespace") ?? "",
  };
}

/** What stays in the address when another incident is opened. */
const kept = () => ({
  state: params.value.get("state"),
  service: params.value.get("service"),
  namespace: params.value.get("namespace"),
});

interface ListProps {
  loaded: Loaded<Incidents>;
  all: Incident[];
  shown: Incident[];
  filter: Filter;
  id: string | null;
}

function List({ loaded, all, shown, filter, id }: ListProps) {
  const root = useRef<HTMLElement>(null);
  const open = all.filter((one) => one.open).length;
  return (
    <section class={`card incident-list ${loaded.stale ? "outdated" : ""}`}>
      <Filters all={all} filter={filter} open={open} />
      {all.length === 0 && <NothingOdd />}
      {all.length > 0 && shown.length === 0 && (
        <EmptyState title={t("incidents.noMatch")} text={filter.service || filter.namespace} icon="search">
          <Button onClick={() => setParams({ state: null, service: null, namespace: null })}>
            {t("incidents.filter.clear")}
          </Button>
        </EmptyState>
      )}
      {shown.length > 0 && (
        // Arrows move among the links, as in a menu; they stay links for everything else.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
        <nav
          ref={root}
          class="incident-rows"
          aria-label={t("incidents.list")}
          data-testid="incidents"
          onKeyDown={(event) => moveFocus(event, root.current)}
        >
          {shown.map((one) => (
            <IncidentRow
              key={one.id}
              one={one}
              href={incidentHref(one.id, kept())}
              chosen={one.id === id}
              narrow={id !== null}
            />
          ))}
        </nav>
      )}
      {shown.length > 0 && !id && (
        <footer class="card-foot muted incident-keys">
          <kbd>↑</kbd>
          <kbd>↓</kbd> {t("incidents.keys.move")} <kbd>Enter</kbd> {t("incidents.keys.open")} <kbd>Esc</kbd>{" "}
          {t("incidents.keys.close")}
        </footer>
      )}
    </section>
  );
}

function Filters({ all, filter, open }: { all: Incident[]; filter: Filter; open: number }) {
  const services = [...new Set([...all.flatMap(servicesOf), filter.service])].filter(Boolean).sort();
  const namespaces = [
    ...new Set([...services.map((one) => readFullName(one).namespace), filter.namespace]),
  ].filter(Boolean);
  const options = (names: string[], every: string) => [
    { value: "", label: every },
    ...names.map((name) => ({ value: name, label: name })),
  ];
  return (
    <header class="incident-filters">
      <Segmented
        label={t("incidents.filter.state")}
        value={filter.state}
        options={STATES.map((value) => ({
          value,
          label: `${t(`incidents.filter.${value}`)}${value === "open" && open ? ` ${open}` : ""}`,
        }))}
        onChange={(state) => setParams({ state: state === "all" ? null : state })}
        testId="incident-state"
      />
      <span class="end incident-selects">
        <Select
          label={t("incidents.filter.service")}
          value={filter.service}
          options={options(services, t("incidents.filter.services"))}
          onChange={(service) => setParams({ service })}
          testId="incident-service"
        />
        <Select
          label={t("incidents.filter.namespace")}
          value={filter.namespace}
          options={options(namespaces.sort(), t("incidents.filter.namespaces"))}
          onChange={(namespace) => setParams({ namespace })}
        />
      </span>
    </header>
  );
}

function NothingOdd() {
  const range = currentRange();
  const longer = range.kind === "relative" && range.seconds < WEEK;
  return (
    <EmptyState title={t("incidents.empty.title")} text={t("incidents.empty.text")} icon="check">
      {longer && (
        <Button onClick={() => setRange({ kind: "relative", seconds: WEEK })}>
          {t("incidents.empty.longer")}
        </Button>
      )}
    </EmptyState>
  );
}

const STEPS: Record<string, (at: number, last: number) => number> = {
  ArrowDown: (at, last) => Math.min(at + 1, last),
  ArrowUp: (at) => Math.max(at - 1, 0),
  Home: () => 0,
  End: (_, last) => last,
};

function moveFocus(event: KeyboardEvent, root: HTMLElement | null): void {
  const step = STEPS[event.key];
  if (!step || !root) return;
  const links = [...root.querySelectorAll<HTMLElement>("a.incident-row")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  event.preventDefault();
  links[step(at, links.length - 1)]?.focus();
}

/** Escape closes what is open; j and k open the next and the one before, wherever the focus is. */
function usePageKeys(shown: Incident[], id: string | null): void {
  const now = useRef({ shown, id });
  now.current = { shown, id };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as Element).closest("input, select, textarea");
      if (event.defaultPrevented || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const { shown: list, id: open } = now.current;
      if (event.key === "Escape" && open) close(open);
      else if (event.key === "j" || event.key === "k") {
        const at = list.findIndex((one) => one.id === open) + (event.key === "j" ? 1 : -1);
        const next = list[Math.max(0, Math.min(at, list.length - 1))];
        if (next) navigate(incidentHref(next.id, kept()), { replace: open !== null });
      } else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

/** Back to the list, with the focus where it was. */
export function close(id: string): void {
  setParams({ incident: null }, false);
  requestAnimationFrame(() => document.getElementById(`incident-${id}`)?.focus());
}
