/** Incidents, causes, forecasts, capacity, objectives, releases: what their pages share. */

export const insightsEn = {
  "nav.insights": "Insights",

  "insights.tab.incidents": "Incidents",
  "insights.tab.why": "Why",
  "insights.tab.forecast": "Forecast",
  "insights.tab.capacity": "Capacity",
  "insights.tab.objectives": "Objectives",
  "insights.tab.releases": "Releases",
} as const;
