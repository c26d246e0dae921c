"""Every sentence of an explained answer, in English and Chinese: templates by name, filled by `say`."""

from __future__ import annotations

from datetime import UTC, datetime

from windvane.analytics.explain.model import Language

_TEXTS: dict[str, tuple[str, str]] = {
    # what the service shows
    "symptom.errors": (
        "{service} fails more than usual since {since}: {now} of its calls instead of {usual}.",
        "{service} 自 {since} 起失败增多：{now} 的调用失败，平时为 {usual}。",
    ),
    "symptom.latency": (
        "{service} is slower than usual since {since}: {now} a call instead of {usual}.",
        "{service} 自 {since} 起变慢：每次调用 {now}，平时为 {usual}。",
    ),
    "symptom.rate.more": (
        "{service} gets more calls than usual since {since}: {now} a minute instead of {usual}.",
        "{service} 自 {since} 起调用增多：每分钟 {now}，平时为 {usual}。",
    ),
    "symptom.rate.less": (
        "{service} gets fewer calls than usual since {since}: {now} a minute instead of {usual}.",
        "{service} 自 {since} 起调用减少：每分钟 {now}，平时为 {usual}。",
    ),
    # where it begins
    "begins.self": (" It begins in {cause} itself", " 问题始于 {cause} 本身"),
    "begins.way": (
        " It begins between {caller} and {cause}: the caller's proxy sees what {cause} does not",
        " 问题始于 {caller} 与 {cause} 之间：调用方代理看到的情况，{cause} 自己看不到",
    ),
    "begins.unreachable": (
        " It begins at {cause}, which takes no calls any more",
        " 问题始于 {cause}：它已不再接受调用",
    ),
    "begins.caller": (
        " {caller} calls {cause} otherwise than before, though it is asked as usual itself",
        " {caller} 对 {cause} 的调用方式变了，而它自己收到的调用与平时一样",
    ),
    "begins.demand": (
        " The demand comes from outside: nothing above {cause} is known to have changed",
        " 需求来自外部：{cause} 之上没有已知的变化",
    ),
    "figures.errors": (": {now} of calls fail there instead of {usual}", "：那里 {now} 的调用失败，平时为 {usual}"),
    "figures.latency": (": {now} a call instead of {usual}", "：每次调用 {now}，平时为 {usual}"),
    "figures.rate": (": {now} calls a minute instead of {usual}", "：每分钟 {now} 次调用，平时为 {usual}"),
    "explains": (", which explains {share} of it.", "，可解释其中的 {share}。"),
    "stop": (".", "。"),
    "probably": (" (not certain: {confidence})", "（不确定：{confidence}）"),
    "other": (" Less likely: {cause} ({share} of it).", " 其次可能：{cause}（占 {share}）。"),
    "change": (" {ago} before, {change}.", " 此前 {ago}，{change}。"),
    # causes in a sentence
    "cause.self": ("{cause} itself: {figures}; explains {share} of it", "{cause} 本身：{figures}；可解释 {share}"),
    "cause.way": (
        "between {caller} and {cause}: {figures} as the caller sees it{flags}; explains {share} of it",
        "{caller} 与 {cause} 之间：调用方看到{figures}{flags}；可解释 {share}",
    ),
    "cause.unreachable": (
        "{cause} takes no calls: {figures} as callers see it{flags}; explains {share} of it",
        "{cause} 不接受调用：调用方看到{figures}{flags}；可解释 {share}",
    ),
    "cause.caller": (
        "{caller} calls {cause} otherwise: {figures}; explains {share} of it",
        "{caller} 对 {cause} 的调用变了：{figures}；可解释 {share}",
    ),
    "cause.demand": (
        "demand from outside on {cause}: {figures}; explains {share} of it",
        "外部对 {cause} 的需求：{figures}；可解释 {share}",
    ),
    "change.errors": ("{usual} of calls failed usually, {now} now", "平时 {usual} 的调用失败，现在 {now}"),
    "change.latency": ("{usual} a call usually, {now} now", "平时每次调用 {usual}，现在 {now}"),
    "change.rate": ("{usual} calls a minute usually, {now} now", "平时每分钟 {usual} 次，现在 {now}"),
    "seen.flags": (" (flags {flags})", "（标志 {flags}）"),
    # evidence
    "series": ("{cause}: {figures}", "{cause}：{figures}"),
    "edge": (
        "{caller} waits {way} a call beyond what {cause} itself takes, {usual} usually",
        "{caller} 每次调用比 {cause} 自身耗时多等 {way}，平时为 {usual}",
    ),
    "edge.errors": (
        "{caller} sees {now} of its calls fail where {cause} itself tells of {own}",
        "{caller} 看到 {now} 的调用失败，而 {cause} 自己只报告 {own}",
    ),
    "edge.all": (
        "all {count} callers see it: it lies at {cause}'s end of the way",
        "全部 {count} 个调用方都看到：问题在 {cause} 一端",
    ),
    "edge.one": (
        "other callers of {cause} do not see it: it lies at {caller}'s end, or on that way alone",
        "{cause} 的其他调用方看不到：问题在 {caller} 一端或仅在这条路径上",
    ),
    "flag": ("{flag}, {count} calls: {meaning}; look at {look}", "{flag}，{count} 次调用：{meaning}；请检查{look}"),
    "own.UF": (
        "its own proxy cannot connect to the application",
        "它自己的代理无法连接到应用",
    ),
    "own.UF.look": (
        "whether the application runs and listens on the port of the Service",
        "应用是否在运行并监听 Service 的端口",
    ),
    "unseen": (
        "{cause} also talks TCP to {peers}: no proxy tells how long that takes, it may lie there",
        "{cause} 还通过 TCP 访问 {peers}：代理无法得知其耗时，问题可能在那里",
    ),
    "unseen.told": (
        " Or in {peers}, to which it talks TCP: no proxy tells how long that takes.",
        " 或者在它通过 TCP 访问的 {peers}：代理无法得知其耗时。",
    ),
    "codes": ("{code}: {now} of calls now, {usual} before", "{code}：现在占调用的 {now}，之前 {usual}"),
    "only": ("only {by} {value}: {now}, the rest {rest}", "仅 {by} {value}：{now}，其余 {rest}"),
    "only.told": (" It is only {by} {value} ({now}, the rest {rest}).", " 仅限 {by} {value}（{now}，其余 {rest}）。"),
    "mix": (
        "{by} {value} has always been like that ({now}), but now gets {share} of the calls instead of {usual}",
        "{by} {value} 一直如此（{now}），但现在得到 {share} 的调用，之前为 {usual}",
    ),
    "mix.told": (
        " {by} {value} has always been so ({now}), but gets {share} of the calls instead of {usual}.",
        " {by} {value} 一直如此（{now}），但现在得到 {share} 的调用，之前为 {usual}。",
    ),
    "by.version": ("version", "版本"),
    "by.workload": ("workload", "工作负载"),
    "by.pod": ("pod", "Pod"),
    "demand": (
        "{cause} gets {factor} times its usual calls ({usual} → {now} a minute), most of that from {caller}",
        "{cause} 的调用是平时的 {factor} 倍（每分钟 {usual} → {now}），主要来自 {caller}",
    ),
    "demand.told": (
        " It also gets {factor} times its usual calls ({usual} → {now} a minute): load is a likely reason.",
        " 它收到的调用也是平时的 {factor} 倍（每分钟 {usual} → {now}）：负载很可能是原因。",
    ),
    "retries": (
        "{caller} calls {cause} {now} times per request of its own, {usual} times usually: it tries again",
        "{caller} 每个请求调用 {cause} {now} 次，平时 {usual} 次：它在重试",
    ),
    "retries.told": (
        " {caller} tries again, which makes {now} calls per request of its own instead of {usual}: a retry storm.",
        " {caller} 在重试：每个请求调用 {now} 次，平时 {usual} 次，形成重试风暴。",
    ),
    "fanout": (
        "{caller} calls {cause} {now} times per request of its own, {usual} times usually",
        "{caller} 每个请求调用 {cause} {now} 次，平时 {usual} 次",
    ),
    "attempts": (
        "{caller}'s proxy makes {now} attempts a call, {usual} usually: its retries",
        "{caller} 的代理每次调用尝试 {now} 次，平时 {usual} 次：这是重试",
    ),
    "self.time": (
        "{operation} of {cause} takes {now} by itself a call, {usual} before ({traces} traces)",
        "{cause} 的 {operation} 自身每次耗时 {now}，之前 {usual}（{traces} 条链路）",
    ),
    "self.call": (
        "{cause} waits {now} a call for {operation}{peer}, {usual} before ({traces} traces)",
        "{cause} 每次等待 {operation}{peer} {now}，之前 {usual}（{traces} 条链路）",
    ),
    "self.failed": (
        "{operation} of {cause}: {now} of its spans fail with nothing below failing, {usual} before ({traces} traces)",
        "{cause} 的 {operation}：{now} 的跨度自身失败，之前 {usual}（{traces} 条链路）",
    ),
    "self.told": (
        " Traces show {operation} taking {now} by itself instead of {usual}.",
        " 链路显示 {operation} 自身耗时 {now}，平时 {usual}。",
    ),
    "self.failed.told": (" Traces show {operation} failing of itself.", " 链路显示 {operation} 自身失败。"),
    "trace.slow": ("a slow one of these: {ms} in all", "其中较慢的一条：共 {ms}"),
    "trace.failed": ("a failed one of these: {ms} in all", "其中失败的一条：共 {ms}"),
    "trace.told": (" See trace {id}.", " 参见链路 {id}。"),
    "timeout": (
        "most of what fails are timeouts, and {cause} is slow: its time was followed",
        "失败多为超时，而 {cause} 变慢：已按其延迟继续追踪",
    ),
    "timeout.told": (" What fails are timeouts, so time was followed.", " 失败多为超时，因此按时间继续追踪。"),
    "flags.told": (
        " Proxies flag {flag}: {meaning} (look at {look}).",
        " 代理标记 {flag}：{meaning}（请检查{look}）。",
    ),
    # changes
    "changed.version": (
        "version {number} of the configuration {what} {kind} {name}{paths}",
        "配置版本 {number} {what} {kind} {name}{paths}",
    ),
    "changed.added": ("added", "新增了"),
    "changed.changed": ("changed", "修改了"),
    "changed.removed": ("removed", "删除了"),
    "changed.appeared": ("version {value} of {service} began to get calls", "{service} 的版本 {value} 开始收到调用"),
    "changed.gone": ("version {value} of {service} got no calls any more", "{service} 的版本 {value} 不再收到调用"),
    "changed.split": (
        "version {value} of {service} went from {usual} of its calls to {now}",
        "{service} 的版本 {value} 的调用占比从 {usual} 变为 {now}",
    ),
    "changed.replicas": (
        "{service} went from {usual} pods that answer to {now}",
        "{service} 有应答的 Pod 从 {usual} 个变为 {now} 个",
    ),
    "evidence.change": ("{ago} before it began, {change}", "开始前 {ago}，{change}"),
    # nothing
    "quiet": ("nothing about its answers is out of the usual", "它的应答没有异常"),
    "quiet.looked": (
        "looked at {services} services and {ways} ways between them,"
        " the last {minutes} minutes against {before} before; {service}: {figures}",
        "检查了 {services} 个服务、其间 {ways} 条路径，最近 {minutes} 分钟与之前 {before} 分钟对比；"
        "{service}：{figures}",
    ),
    "quiet.near": (
        "Below it {cause} is not as usual, though that does not show here: {figures}.",
        "其下游 {cause} 有异常，但在此没有体现：{figures}。",
    ),
    "quiet.told": ("Nothing about {service} is out of the usual: {figures}.", "{service} 没有异常：{figures}。"),
    "quiet.figures": (
        "{requests} calls a minute, {errors} of them failed, {latency} a call",
        "每分钟 {requests} 次调用，{errors} 失败，每次 {latency}",
    ),
    "few": ("{known} minutes are too few: {needed} are needed", "只有 {known} 分钟，不够：需要 {needed} 分钟"),
}


def say(language: Language, name: str, /, **values: object) -> str:
    """A template, filled."""
    return _TEXTS[name][1 if language == "zh" else 0].format(**values)


def clock(at: float) -> str:
    """A moment of today's log: hours, minutes and seconds, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def milliseconds(value: float) -> str:
    """A time as people read it."""
    return f"{value / 1_000:.3g} s" if value >= 1_000 else f"{value:.3g} ms"


def share(value: float) -> str:
    """A share in percent, with as many digits as tell something."""
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.2%}" if value < 0.01 else f"{value:.1%}"


def ago(seconds: float, language: Language) -> str:
    """How long before, roughly."""
    whole = round(max(0.0, seconds))
    if whole < 120:
        return f"{whole} 秒" if language == "zh" else f"{whole} s"
    return f"{round(whole / 60)} 分钟" if language == "zh" else f"{round(whole / 60)} min"


def valued(signal: str, value: float) -> str:
    """A value of a signal with its unit."""
    return milliseconds(value) if signal == "latency" else share(value) if signal == "errors" else f"{value:.0f}"
