"""The definitions' titles and descriptions in Chinese, by their English text.

`CHINESE` covers every title, description, table column and variable of every dashboard (a test compares
both ways), so that the console shows a dashboard in the reader's language.
"""

from __future__ import annotations

CHINESE: dict[str, str] = {
    "Istio mesh": "Istio 网格",
    "All traffic of the mesh at a glance: rate, success, and every workload that answers.": (
        "全网格流量一览：速率、成功率，以及每个应答的工作负载。"
    ),
    "Global traffic": "全局流量",
    "Request rate": "请求速率",
    "Requests a second, counted where they are sent.": "每秒请求数，按发送方统计。",
    "Success rate": "成功率",
    "The share of requests that did not end in a 5xx.": "未以 5xx 结束的请求所占比例。",
    "4xx": "4xx",
    "5xx": "5xx",
    "Requests by response code": "按状态码的请求",
    "Request duration": "请求耗时",
    "Workloads": "工作负载",
    "HTTP and gRPC workloads": "HTTP 与 gRPC 工作负载",
    "Requests": "请求",
    "P50": "P50",
    "P90": "P90",
    "P99": "P99",
    "Success": "成功率",
    "Service": "服务",
    "Workload": "工作负载",
    "Namespace": "命名空间",
    "TCP workloads": "TCP 工作负载",
    "Received": "接收",
    "Sent": "发送",
    "Versions": "版本",
    "Istio components by version": "各版本的 Istio 组件",
    "Istio service": "Istio 服务",
    "One service from both ends: its clients' view, its servers' view, and who is behind either.": (
        "从两端看一个服务：客户端所见、服务端所见，以及两边各是谁。"
    ),
    "Reporter": "观测方",
    "Client cluster": "客户端集群",
    "Client namespace": "客户端命名空间",
    "Client workload": "客户端工作负载",
    "Server cluster": "服务端集群",
    "Server namespace": "服务端命名空间",
    "Server workload": "服务端工作负载",
    "At a glance": "概览",
    "Client request rate": "客户端请求速率",
    "Client success rate": "客户端成功率",
    "Client request duration": "客户端请求耗时",
    "TCP received": "TCP 接收",
    "Server request rate": "服务端请求速率",
    "Server success rate": "服务端成功率",
    "Server request duration": "服务端请求耗时",
    "TCP sent": "TCP 发送",
    "Incoming, by client": "入站，按客户端",
    "Incoming, by server": "入站，按服务端",
    "Outgoing, by service": "出站，按服务",
    "Request size": "请求大小",
    "Response size": "响应大小",
    "Istio workload": "Istio 工作负载",
    "One workload: the traffic that comes in, by client, and the traffic it sends on, by service.": (
        "一个工作负载：按客户端看入站流量，按服务看出站流量。"
    ),
    "Called service": "被调用的服务",
    "Incoming request rate": "入站请求速率",
    "Incoming success rate": "入站成功率",
    "Incoming request duration": "入站请求耗时",
    "Outgoing request rate": "出站请求速率",
    "Outgoing success rate": "出站成功率",
    "Outgoing request duration": "出站请求耗时",
    "Istio performance": "Istio 性能",
    "What Istio costs under load: processor time, memory and bytes of its parts.": (
        "Istio 在负载下的开销：各组件的处理器时间、内存和字节数。"
    ),
    "Processor": "处理器",
    "vCPU per 1,000 requests a second": "每千次请求/秒的 vCPU",
    "Processor time of gateway and sidecars for their traffic; empty while there is hardly any.": (
        "网关与边车处理流量所用的处理器时间；流量很少时为空。"
    ),
    "vCPU": "vCPU",
    "Processor cores in use.": "正在使用的处理器核数。",
    "Memory and data": "内存与数据",
    "Memory of each proxy": "每个代理的内存",
    "The mean working set of one gateway and of one sidecar.": "单个网关、单个边车的平均工作集。",
    "Bytes through proxies": "经过代理的字节",
    "Requests and responses a second, headers included.": "每秒的请求与响应字节数，含头部。",
    "istiod": "istiod",
    "istiod memory": "istiod 内存",
    "As the process and as Kubernetes counts it.": "进程自报的与 Kubernetes 统计的。",
    "istiod vCPU": "istiod vCPU",
    "istiod disk": "istiod 磁盘",
    "What istiod's containers keep on disk.": "istiod 的容器占用的磁盘。",
    "istiod goroutines and open files": "istiod 协程与打开的文件",
    "Both should be flat under a steady load.": "负载稳定时两者都应平稳。",
    "Istio control plane": "Istio 控制面",
    "istiod itself: what it uses, what it pushes to proxies, and what its webhooks answer.": (
        "istiod 自身：资源用量、向代理的推送，以及 webhook 的应答。"
    ),
    "istiod by version": "各版本的 istiod",
    "Resources": "资源",
    "Memory": "内存",
    "Memory of each istiod: its container's working set, Go's stack and heap.": (
        "每个 istiod 的内存：容器工作集、Go 的栈与堆。"
    ),
    "Allocations": "内存分配",
    "How fast memory is allocated.": "分配内存的速度。",
    "Goroutines": "协程",
    "A number that only rises is a leak.": "只升不降就是泄漏。",
    "Configuration pushes": "配置推送",
    "xDS pushes": "xDS 推送",
    "Pushes a second by type; one for each proxy that is sent to.": "各类型每秒推送数，每个代理算一次。",
    "Events": "事件",
    "What makes istiod push: changes of services, of configuration, and the pushes they cause.": (
        "istiod 推送的起因：服务变化、配置变化，以及它们引起的推送。"
    ),
    "Connections": "连接",
    "Connected proxies, as they and as istiod count them.": "已连接的代理数，分别由代理和 istiod 统计。",
    "Push errors": "推送错误",
    "Totals, not rates: a type that never failed has no series. Any increase deserves a look at the log.": (
        "这里是总数而不是速率：从未失败的类型没有序列。只要增长就值得查看日志。"
    ),
    "Push time": "推送耗时",
    "How long pushes take.": "推送花费的时间。",
    "Push size": "推送大小",
    "How large pushed configuration is.": "推送的配置有多大。",
    "Webhooks": "Webhook",
    "Validation": "校验",
    "Configuration checked at admission.": "准入时校验的配置。",
    "Injection": "注入",
    "Sidecars injected at admission.": "准入时注入的边车。",
    "Windvane server": "Windvane 服务器",
    "The server itself: records received, stored and refused, commits, Istio's metrics, proxies.": (
        "服务器自身：收到、存入、拒收的记录，提交，Istio 指标，代理。"
    ),
    "Records received": "收到的记录",
    "Records of all signals that arrived each second.": "每秒收到的全部信号的记录数。",
    "Records stored": "入库率",
    "The share of what arrived that is in the store.": "收到的记录中已入库的比例。",
    "Records refused": "拒收的记录",
    "Refused each second; the panel below says why.": "每秒拒收的记录数，原因见下方面板。",
    "Waiting to be stored": "等待入库",
    "Payload waiting for its commit, or in it. Past a limit requests are refused.": (
        "等待提交或正在提交的数据量，超过上限后会拒收请求。"
    ),
    "Ingest": "接收",
    "Received by signal and transport": "按信号与传输方式",
    "Refused by reason": "按原因的拒收",
    "A refused record was answered with an error, so that its sender knows.": "拒收的记录都以错误应答，发送方会知道。",
    "Commits": "提交",
    "Rows committed": "提交的行",
    "Commit duration": "提交耗时",
    "One commit is one INSERT; senders wait for it.": "一次提交就是一次 INSERT，发送方等待它完成。",
    "Commit durations": "提交耗时分布",
    "How commits spread over durations.": "提交在各耗时区间的分布。",
    "Groups halved": "对半拆分的批次",
    "A group that the store could not decode is halved until the bad request is found.": (
        "无法解码的批次会不断对半拆分，直到找出坏的请求。"
    ),
    "Rows unlike records": "行数与记录数不符",
    "Rows beyond or short of the records sent; anything but zero is a fault.": (
        "比发送的记录多或少的行数，不为零就是故障。"
    ),
    "Istio's metrics": "Istio 指标",
    "Live series": "活跃序列",
    "Series of istio_* metrics that are being written.": "正在写入的 istio_* 指标序列数。",
    "Tick duration": "生成耗时",
    "Making the metrics from access logs, each interval.": "每个周期由访问日志生成指标的时间。",
    "Control plane": "控制面",
    "Connected proxies": "已连接的代理",
    "Responses and rejections": "下发与拒绝",
    "Time to all proxies": "全部代理生效时间",
    "From an edit until a proxy has acknowledged all of it.": "从修改到代理全部确认的时间。",
}
