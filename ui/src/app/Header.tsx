/** The bar at the top: where one is, when one looks, and in which theme and language. */

import type { ComponentChild } from "preact";
import { IconButton } from "../components/Controls";
import { Icon, type IconName } from "../components/Icon";
import { Logo } from "../components/Logo";
import { count, t } from "../i18n";
import { useOpenIncidents } from "../insights/events";
import { chooseLanguage, chooseTheme, language, type ThemeChoice, theme } from "./prefs";
import { linkTo, path } from "./router";
import { TimeControl } from "./TimeControl";

const THEMES: ThemeChoice[] = ["system", "light", "dark"];
/** Pages about the server itself: one entry, with tabs on the pages. */
const SERVER_PAGES = ["/status", "/targets", "/cardinality"];
/** Pages about traces, likewise. */
const TRACE_PAGES = /^\/(?:traces|dependencies|propagation)(?:\/|$)/;
const THEME_ICONS: Record<ThemeChoice, IconName> = { system: "system", light: "sun", dark: "moon" };

export function Header() {
  const here = path.value;
  const link = (to: string, icon: IconName, text: string, active: boolean, badge?: ComponentChild) => (
    <li>
      <a class="nav-link" href={linkTo(to)} aria-current={active ? "page" : undefined} title={text}>
        <Icon name={icon} />
        <span class="nav-text">{text}</span>
        {badge}
      </a>
    </li>
  );
  return (
    <header class="header">
      <a class="skip-link" href="#content">
        {t("app.skip")}
      </a>
      <a class="brand" href={linkTo("/")} aria-label={t("app.title")}>
        <Logo />
        <span>Windvane</span>
      </a>
      <nav aria-label={t("nav.main")}>
        <ul>
          {link("/", "graph", t("nav.graph"), here === "/")}
          {link("/services", "services", t("nav.services"), here.startsWith("/services"))}
          {link("/traces", "traces", t("nav.traces"), TRACE_PAGES.test(here))}
          {link("/logs", "list", t("nav.logs"), here.startsWith("/logs"))}
          {link("/explore", "metrics", t("nav.metrics"), here === "/explore")}
          {link("/dashboards", "dashboards", t("nav.dashboards"), here.startsWith("/dashboards"))}
          {link("/alerts", "bell", t("nav.alerts"), here === "/alerts")}
          {link("/insights", "insights", t("nav.insights"), here.startsWith("/insights"), <OpenBadge />)}
          {link("/config", "config", t("nav.config"), here.startsWith("/config"))}
          {link("/status", "status", t("nav.status"), SERVER_PAGES.includes(here))}
        </ul>
      </nav>
      <div class="header-end">
        <TimeControl />
        <span class="button-group">
          <button
            type="button"
            class="button button-ghost language"
            aria-label={t("language.label")}
            title={t("language.label")}
            data-testid="language"
            onClick={() => chooseLanguage(language.value === "zh" ? "en" : "zh")}
          >
            {t("language.switch")}
          </button>
          <ThemeButton />
        </span>
      </div>
    </header>
  );
}

/** How many incidents are open; red where one of them is urgent. */
function OpenBadge() {
  const open = useOpenIncidents();
  if (open.length === 0) return null;
  const urgent = open.some((one) => one.severity === "page");
  const text = count("incidents.badge", open.length);
  return (
    <span class={`nav-badge ${urgent ? "nav-badge-bad" : ""}`} title={text} data-testid="open-incidents">
      {open.length}
      <span class="visually-hidden"> {text}</span>
    </span>
  );
}

function ThemeButton() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  return (
    <IconButton
      label={t("theme.now", { name: t(`theme.${theme.value}`) })}
      icon={THEME_ICONS[theme.value]}
      data-testid="theme"
      onClick={() => chooseTheme(next)}
    />
  );
}
