/** 事件、原因、预测、容量、目标与发布页面共用的文字。 */

import type { insightsEn } from "./insights.en";

export const insightsZh: Record<keyof typeof insightsEn, string> = {
  "nav.insights": "洞察",

  "insights.tab.incidents": "异常事件",
  "insights.tab.why": "原因",
  "insights.tab.forecast": "预测",
  "insights.tab.capacity": "容量",
  "insights.tab.objectives": "服务目标",
  "insights.tab.releases": "发布",
};
