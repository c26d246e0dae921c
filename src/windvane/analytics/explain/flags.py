"""What Envoy's response flags and gRPC's codes mean, and what each suggests looking at.

Flags: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags-filter
(short names, as Istio's `response_flags` has them). Codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from windvane.analytics.explain.model import Language

Kind = Literal[
    "unreached", "timeout", "cut", "refused", "route", "protocol", "injected", "limit", "capacity", "retries"
]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A flag in plain words, and what to look at; in English and Chinese."""

    kind: Kind
    en: tuple[str, str]
    zh: tuple[str, str]

    def words(self, language: Language) -> tuple[str, str]:
        """What it means and what it suggests."""
        return self.zh if language == "zh" else self.en


FLAGS: Mapping[str, Meaning] = {
    "UF": Meaning(
        "unreached",
        ("no connection could be made", "is it running and listening on that port; do both sides agree on mTLS?"),
        ("无法建立连接", "服务是否在运行并监听该端口？双方的 mTLS 设置是否一致？"),
    ),
    "UH": Meaning(
        "unreached",
        ("no healthy endpoint was left", "readiness, replicas, outlier detection's ejections"),
        ("没有健康的端点", "就绪探针、副本数、异常检测的驱逐"),
    ),
    "UO": Meaning(
        "capacity",
        ("the circuit breaker was full", "connectionPool limits of its DestinationRule, or its slowness"),
        ("熔断器已满", "DestinationRule 的 connectionPool 限额，或服务本身变慢"),
    ),
    "UC": Meaning(
        "cut",
        ("it closed the connection while answering", "crashes, restarts, keep-alive shorter than the proxy's"),
        ("应答途中连接被它关闭", "崩溃、重启、比代理更短的 keep-alive"),
    ),
    "UR": Meaning(
        "cut",
        ("it reset the stream", "crashes, application errors, limits of HTTP/2 streams"),
        ("流被它重置", "崩溃、应用错误、HTTP/2 流数限制"),
    ),
    "UT": Meaning(
        "timeout",
        ("no answer came before the route's timeout", "its latency, and the timeout of its VirtualService"),
        ("在路由超时前没有应答", "它的延迟，以及 VirtualService 的 timeout"),
    ),
    "UPE": Meaning(
        "protocol",
        ("its answer broke the protocol", "the port's protocol (name or appProtocol)"),
        ("应答违反协议", "端口的协议声明（名称或 appProtocol）"),
    ),
    "UMSDR": Meaning(
        "timeout",
        ("the stream lasted longer than allowed", "maximum stream duration of the route"),
        ("流超过允许的时长", "路由的最大流时长"),
    ),
    "URX": Meaning(
        "retries",
        ("all retries were used up", "why each attempt fails; the retries themselves add load"),
        ("重试次数已用尽", "每次尝试失败的原因；重试本身也会增加负载"),
    ),
    "DC": Meaning(
        "timeout",
        ("the caller hung up first", "the caller's timeout, and this service's latency"),
        ("调用方先断开", "调用方的超时，以及该服务的延迟"),
    ),
    "LH": Meaning(
        "unreached", ("it failed the health check", "its health endpoint"), ("健康检查失败", "它的健康检查端点")
    ),
    "LR": Meaning(
        "cut",
        ("the proxy itself reset it", "limits and filters of the sidecar"),
        ("代理自身重置", "边车的限制与过滤器"),
    ),
    "NR": Meaning(
        "route",
        ("no route matched", "hosts, ports and matches of VirtualService, Sidecar and Gateway"),
        ("没有匹配的路由", "VirtualService、Sidecar、Gateway 的主机、端口与匹配条件"),
    ),
    "NC": Meaning(
        "route",
        ("the route's cluster does not exist", "does the DestinationRule have the subset that routes name?"),
        ("路由指向的集群不存在", "DestinationRule 是否有路由所引用的 subset？"),
    ),
    "NFCF": Meaning(
        "route",
        ("its cluster could not be found in time", "on-demand discovery from the control plane"),
        ("未能及时找到集群", "控制面的按需发现"),
    ),
    "DT": Meaning(
        "timeout",
        ("the request or connection lasted too long", "request timeouts of the listener"),
        ("请求或连接持续过久", "监听器的请求超时"),
    ),
    "SI": Meaning(
        "timeout",
        ("the stream was idle for too long", "idle timeouts, and its latency"),
        ("流空闲过久", "空闲超时及其延迟"),
    ),
    "DI": Meaning(
        "injected",
        ("a delay was injected", "fault.delay of a VirtualService"),
        ("注入了延迟", "VirtualService 的 fault.delay"),
    ),
    "FI": Meaning(
        "injected",
        ("a failure was injected", "fault.abort of a VirtualService"),
        ("注入了故障", "VirtualService 的 fault.abort"),
    ),
    "RL": Meaning(
        "limit",
        ("it was rate limited", "rate limit rules, and who sends more than usual"),
        ("被限流", "限流规则，以及谁比平时发送更多"),
    ),
    "RLSE": Meaning("limit", ("the rate limit service failed", "the rate limit service"), ("限流服务出错", "限流服务")),
    "UAEX": Meaning(
        "refused",
        ("authorization refused it", "AuthorizationPolicy and the external authorizer"),
        ("被授权拒绝", "AuthorizationPolicy 与外部授权服务"),
    ),
    "IH": Meaning(
        "protocol", ("a header had an invalid value", "what the caller sends"), ("请求头的值无效", "调用方发送的内容")
    ),
    "DPE": Meaning(
        "protocol",
        ("the request broke the protocol", "what the caller sends, and the port's protocol"),
        ("请求违反协议", "调用方发送的内容，以及端口的协议声明"),
    ),
    "OM": Meaning(
        "capacity",
        ("the proxy shed load for lack of memory", "the sidecar's memory limit"),
        ("代理因内存不足而卸载", "边车的内存限额"),
    ),
    "DF": Meaning(
        "unreached",
        ("its name did not resolve", "DNS, and the host of its ServiceEntry"),
        ("域名无法解析", "DNS 与 ServiceEntry 的主机"),
    ),
    "DO": Meaning(
        "capacity",
        ("the proxy dropped it as overloaded", "overload limits of the proxy"),
        ("代理过载而丢弃", "代理的过载限制"),
    ),
    "DR": Meaning("cut", ("the caller's side reset it", "the caller"), ("被调用方一侧重置", "调用方")),
}

GRPC: Mapping[str, tuple[str, str, str]] = {
    "0": ("OK", "it succeeded", "成功"),
    "1": ("CANCELLED", "the caller cancelled", "调用方取消"),
    "2": ("UNKNOWN", "the application failed without saying how", "应用失败但未说明原因"),
    "3": ("INVALID_ARGUMENT", "the request was wrong", "请求参数错误"),
    "4": ("DEADLINE_EXCEEDED", "no answer before the deadline", "超过截止时间"),
    "5": ("NOT_FOUND", "nothing by that name", "未找到"),
    "6": ("ALREADY_EXISTS", "it exists already", "已存在"),
    "7": ("PERMISSION_DENIED", "not permitted", "没有权限"),
    "8": ("RESOURCE_EXHAUSTED", "a quota or limit is used up", "配额或资源耗尽"),
    "9": ("FAILED_PRECONDITION", "the system is in no state for it", "前置条件不满足"),
    "10": ("ABORTED", "given up over a conflict", "因冲突中止"),
    "11": ("OUT_OF_RANGE", "out of range", "超出范围"),
    "12": ("UNIMPLEMENTED", "no such method", "方法未实现"),
    "13": ("INTERNAL", "an internal error", "内部错误"),
    "14": ("UNAVAILABLE", "the service was not available", "服务不可用"),
    "15": ("DATA_LOSS", "data were lost", "数据丢失"),
    "16": ("UNAUTHENTICATED", "not authenticated", "未认证"),
}
_HTTP: Mapping[str, tuple[str, str]] = {
    "0": ("no response", "没有响应"),
    "429": ("too many requests", "请求过多"),
    "500": ("the application failed", "应用出错"),
    "501": ("not implemented", "未实现"),
    "502": ("a bad answer from behind", "上游应答无效"),
    "503": ("not available", "服务不可用"),
    "504": ("no answer in time", "网关超时"),
}
"""Codes that count as failures, or precede them."""


def flags_of(text: str) -> list[str]:
    """The flags of a `response_flags` value; none for "-"."""
    return [one for one in text.split(",") if one and one != "-"]


def kinds_of(flags: Iterable[str]) -> set[Kind]:
    """What kinds of trouble these flags tell of; flags that are not known have none."""
    return {FLAGS[one].kind for one in flags if one in FLAGS}


def code_words(code: str, grpc: str, language: Language) -> str:
    """A response code as people say it."""
    zh = language == "zh"
    if grpc and grpc in GRPC:
        name, en, told = GRPC[grpc]
        return f"gRPC {grpc} {name} ({told if zh else en})"
    if code in _HTTP:
        return f"{code} ({_HTTP[code][1 if zh else 0]})"
    return code
