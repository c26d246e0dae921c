/** Releases that the server carries out: where each is, what proves it, and buttons to steer it. */

import { fetchReleases, type Release } from "../api/releases";
import { params } from "../app/router";
import { CopyButton } from "../components/CopyButton";
import { EmptyState, LoadStates } from "../components/States";
import { YamlView } from "../config/YamlView";
import { count, t } from "../i18n";
import { insightHref, InsightTabs } from "../insights/InsightTabs";
import { useData } from "../lib/useData";
import { Details } from "./ReleaseDetails";
import { chosenOf, keyOf, PHASE_TONES } from "./model";

const SAMPLE = `apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata: {name: reviews, namespace: shop}
spec:
  service: {name: reviews}
  baseline: v1                # subsets of the VirtualService's destinations
  canary: v2
  progressDeadlineSeconds: 7200
  analysis:
    interval: 1m              # between looks
    stepWeights: [5, 20, 50]
    hold: 3m                  # the least time at a weight
`;

export function ReleasesPage() {
  const loaded = useData("releases", fetchReleases);
  const releases = loaded.data?.releases ?? [];
  const chosen = chosenOf(releases, params.value.get("release"));
  return (
    <div class="page">
      <InsightTabs here="releases" />
      <LoadStates loaded={loaded} />
      {loaded.data && !chosen && <Nothing off={loaded.data.off} />}
      {chosen && (
        <div class="config-split">
          <section class="card config-list">
            <header>
              <h2>{count("release.count", releases.length)}</h2>
            </header>
            <nav class="config-rows" aria-label={t("release.list")} data-testid="releases">
              {releases.map((one) => (
                <Row key={`${keyOf(one)} ${one.file} ${one.line}`} one={one} chosen={one === chosen} />
              ))}
            </nav>
          </section>
          <div class="stack config-detail">
            <Details key={keyOf(chosen)} head={chosen} />
          </div>
        </div>
      )}
    </div>
  );
}

function Nothing({ off }: { off: string }) {
  return (
    <section class="card" data-testid="no-releases">
      {off ? (
        <EmptyState title={t("release.off")} text={off} icon="layout" />
      ) : (
        <EmptyState title={t("release.empty")} text={t("release.empty.text")} icon="layout" />
      )}
      {!off && (
        <>
          <header class="release-sample-head">
            <h2>{t("release.empty.yaml")}</h2>
            <span class="end">
              <CopyButton label={t("common.copy")} text={() => SAMPLE} />
            </span>
          </header>
          <YamlView label={t("release.empty.yaml")} yaml={SAMPLE} first={1} findings={[]} />
        </>
      )}
    </section>
  );
}

function Row({ one, chosen }: { one: Release; chosen: boolean }) {
  return (
    <a
      class="config-row version-row release-row"
      href={insightHref("releases", { release: keyOf(one) })}
      aria-current={chosen ? "true" : undefined}
    >
      <span class="version-text">
        <span class="release-row-head">
          <b class="truncate">{one.name}</b>
          <span class="muted truncate">{one.namespace}</span>
          <PhaseBadge one={one} />
        </span>
        {one.phase === "Invalid" ? (
          <span class="text-bad truncate">{one.problems[0]}</span>
        ) : (
          <span class="release-row-weight">
            <span class="muted">
              {one.baseline} → {one.canary}
            </span>
            <WeightBar one={one} />
            <b>{one.weight} %</b>
          </span>
        )}
      </span>
    </a>
  );
}

export function PhaseBadge({ one }: { one: Release }) {
  return (
    <span class={`code code-${PHASE_TONES[one.phase]} release-phase`}>{t(`release.phase.${one.phase}`)}</span>
  );
}

export function WeightBar({ one }: { one: Release }) {
  return (
    <span
      class="release-bar"
      role="img"
      aria-label={t("release.weightOf", { weight: one.weight, version: one.canary })}
    >
      <i class={`tone-${PHASE_TONES[one.phase]}`} style={{ width: `${one.weight}%` }} />
    </span>
  );
}
