/** English texts of the trace search, the trace page and the analyses. */

export const tracesEn = {
  "traces.page.search": "Traces",
  "traces.page.critical-path": "Critical path",
  "traces.page.flame": "Flame graph",
  "traces.page.cohorts": "Cohorts",
  "traces.page.findings": "Findings",
  "traces.page.compare": "Compare",

  "query.label": "Query",
  "query.placeholder": "service:reviews duration>100ms, or words, or a trace ID",
  "query.run": "Search",
  "query.mistake": "Character {at}:",
  "query.anyKind": "Any kind",
  "query.errors": "Errors",
  "query.longer": "> {duration}",
  "query.clear": "Clear query",
  "query.spans": "{n} spans",

  "traces.more": "{n} traces, more to come",
  "traces.loadMore": "Load more",
  "traces.picture": "Picture",
  "traces.picture.heatmap": "Heat map",
  "traces.picture.scatter": "Scatter",
  "traces.picture.none": "List only",
  "traces.choose": "Choose for comparison",
  "traces.compare": "Compare {n} of 2",

  "heat.label": "Matching spans by start and duration",
  "heat.note": "{spans} matching spans by start and duration; drag to narrow the search",
  "heat.few": "few",
  "heat.many": "many",
} as const;
