/** 链路搜索、链路页面与分析的中文。 */

import type { tracesEn } from "./traces.en";

export const tracesZh: Record<keyof typeof tracesEn, string> = {
  "traces.page.search": "链路追踪",
  "traces.page.critical-path": "关键路径",
  "traces.page.flame": "火焰图",
  "traces.page.cohorts": "分组对比",
  "traces.page.findings": "发现",
  "traces.page.compare": "对比",

  "query.label": "查询",
  "query.placeholder": "service:reviews duration>100ms，也可以写单词或链路 ID",
  "query.run": "搜索",
  "query.mistake": "第 {at} 个字符：",
  "query.anyKind": "任意类型",
  "query.errors": "有错误",
  "query.longer": "> {duration}",
  "query.clear": "清除查询",
  "query.spans": "{n} 个 Span",

  "traces.more": "{n} 条链路，还有更多",
  "traces.loadMore": "加载更多",
  "traces.picture": "图示",
  "traces.picture.heatmap": "热力图",
  "traces.picture.scatter": "散点图",
  "traces.picture.none": "仅列表",
  "traces.choose": "选中以便对比",
  "traces.compare": "对比（已选 {n}/2）",

  "heat.label": "匹配的 Span 按开始时间与耗时分布",
  "heat.note": "{spans} 个匹配的 Span，按开始时间与耗时分布；拖动可缩小搜索范围",
  "heat.few": "少",
  "heat.many": "多",
};
