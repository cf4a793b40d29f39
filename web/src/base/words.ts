/* Every word a person reads, one row each, English and Chinese side by side.
 *
 * A row may hold {placeholders} and `code`. Names from the field (ident, up, PromQL, label names, metric names, check ids) are
 * the same in both languages. A key that is not here is an error of types, not a blank. */

export interface Said {
  readonly en: string;
  readonly zh: string;
}

const table = {
  title: { en: "kpwatch · kube-proxy fleet", zh: "kpwatch · kube-proxy 集群监控" },
  skip: { en: "Skip to content", zh: "跳到正文" },
  menu: { en: "Pages", zh: "页面" },
  language: { en: "Language", zh: "语言" },
  fleet: { en: "Fleet", zh: "节点总览" },
  table: { en: "Table view", zh: "表格视图" },

  // Frame.
  node: { en: "Node", zh: "节点" },
  slo: { en: "SLO", zh: "SLO" },
  dictionary: { en: "Dictionary", zh: "词典" },
  alerts: { en: "Alerts", zh: "告警" },
  targets: { en: "Targets", zh: "采集目标" },
  about: { en: "About", zh: "关于" },
  not_found: { en: "There is no page at {path}.", zh: "没有 {path} 这个页面。" },
  to_fleet: { en: "To the fleet", zh: "前往节点总览" },
  time_range: { en: "Time range", zh: "时间范围" },
  from: { en: "From", zh: "开始时间" },
  to: { en: "To", zh: "结束时间" },
  earlier: { en: "Earlier", zh: "向前" },
  later: { en: "Later", zh: "向后" },
  zoom_out: { en: "Zoom out", zh: "缩小" },
  live: { en: "Live", zh: "实时" },
  more: { en: "more", zh: "更长" },
  per_second: { en: "{n}/s", zh: "{n}/秒" },
  cores: { en: "{n} cores", zh: "{n} 核" },
  unit_of_seconds: { en: "time", zh: "时长" },
  unit_of_bytes: { en: "bytes", zh: "字节" },
  unit_of_ratio: { en: "share", zh: "占比" },
  unit_of_per_second: { en: "per second", zh: "每秒" },
  unit_of_cores: { en: "cores", zh: "核" },
  unit_exact: { en: "exact", zh: "原值" },
  unit_by_name: { en: "as the name says", zh: "按指标名" },
  unit_compact: { en: "rounded (k, M)", zh: "简写（千、万）" },
  unit_percent: { en: "percent", zh: "百分比" },
  unit_date: { en: "date", zh: "日期" },
  unit_of_count: { en: "number", zh: "个数" },
  open_in_explorer: { en: "Open in the explorer", zh: "在查询页中打开" },
  no_data: { en: "No data in this time.", zh: "该时间段内没有数据。" },
  since_release: { en: "kube-proxy tells it from {release} on.", zh: "kube-proxy 从 {release} 起才有该指标。" },
  most_of: { en: "The {shown} largest of {total} series.", zh: "共 {total} 条序列，仅显示最大的 {shown} 条。" },
  no_such_node: { en: "The hub knows no node {ident}, or it has been silent for more than a day.", zh: "hub 中没有节点 {ident}，或它已失联超过一天。" },
  last_sample: { en: "Last sample", zh: "最近样本" },
  nothing_found: { en: "Nothing wrong was found.", zh: "没有发现问题。" },
  not_judged: { en: "Could not be judged: {count}", zh: "{count} 项检查无法判断" },
  since: { en: "since {time} ({age})", zh: "始于 {time}（已 {age}）" },
  evidence: { en: "Evidence", zh: "依据" },
  what_to_do: { en: "What to do", zh: "处理步骤" },
  restart: { en: "restart", zh: "重启" },
  events: { en: "Restarts and version changes", zh: "重启与版本变更" },
  charts: { en: "Charts", zh: "图表" },
  last_value: { en: "last", zh: "最新" },
  slo_title: { en: "Service levels", zh: "服务水平" },
  every_node: { en: "every node", zh: "全部节点" },
  programming_heatmap: { en: "Network programming latency", zh: "网络编程延迟" },
  programming_heatmap_meaning: {
    en: "How many changes took how long from the change of an endpoint to the rules on a node. Darker is more.",
    zh: "从 Endpoint 变更到节点规则生效用了多久，颜色越深数量越多。",
  },
  as_table: { en: "Table", zh: "表格" },
  as_graph: { en: "Graph", zh: "图形" },
  stacked: { en: "Stacked", zh: "堆叠" },
  csv_of_range: { en: "Download CSV of the range", zh: "下载该区间的 CSV" },
  series_step: { en: "{count} series, one point every {step} s", zh: "{count} 条序列，每 {step} 秒一个点" },
  first_of: { en: "The first {shown} of {total} series.", zh: "共 {total} 条序列，仅显示前 {shown} 条。" },
  add_query: { en: "Add a query", zh: "添加查询" },
  remove_query: { en: "Remove", zh: "移除" },
  pick_metric: { en: "Metrics", zh: "指标" },
  search_names: { en: "Search by name or meaning", zh: "按名称或含义搜索" },
  history: { en: "History", zh: "历史" },
  history_empty: { en: "No query yet.", zh: "还没有查询。" },
  share: { en: "Copy link", zh: "复制链接" },
  search_dictionary: { en: "Search metrics and checks", zh: "搜索指标与检查项" },
  kind: { en: "Kind", zh: "类别" },
  all: { en: "All", zh: "全部" },
  metrics: { en: "Metrics", zh: "指标" },
  checks: { en: "Checks", zh: "检查项" },
  families: { en: "Families", zh: "指标族" },
  values_of: { en: "Values of", zh: "显示当前值" },
  no_node: { en: "no node", zh: "不显示" },
  series_count: { en: "{count} series", zh: "{count} 条序列" },
  from_release: { en: "from {release} on", zh: "自 {release} 起" },
  until_release: { en: "until {release}", zh: "到 {release} 为止" },
  releases: { en: "Releases", zh: "版本范围" },
  type: { en: "Type", zh: "类型" },
  unit: { en: "Unit", zh: "单位" },
  labels: { en: "Labels", zh: "标签" },
  bad_when: { en: "Bad", zh: "异常表现" },
  absent_when: { en: "Absent", zh: "缺失时" },
  causes: { en: "Causes", zh: "可能原因" },
  now_on: { en: "Now on {ident}", zh: "{ident} 的当前值" },
  nodes_with: { en: "Nodes with {check}", zh: "出现 {check} 的节点" },

  firing: { en: "firing", zh: "告警中" },
  pending_word: { en: "pending", zh: "待定" },
  inactive: { en: "inactive", zh: "未触发" },
  recording: { en: "recording", zh: "记录规则" },
  rule_error: { en: "error", zh: "出错" },
  alerts_count: { en: "alerts: {count}", zh: "{count} 条告警" },
  held_for: { en: "for {age}", zh: "持续 {age}" },
  filter_rules: { en: "Filter rules", zh: "筛选规则" },
  silences: { en: "Silences", zh: "静默" },
  silence_for: { en: "Silence for {age}", zh: "静默 {age}" },
  silenced: { en: "silenced", zh: "已静默" },
  end_silence: { en: "End now", zh: "立即结束" },
  no_silences: { en: "Nothing is silenced.", zh: "没有静默。" },
  until: { en: "until {time}", zh: "至 {time}" },
  no_rules: { en: "This hub evaluates no rules", zh: "这个 hub 没有加载规则" },
  no_rules_lead: {
    en: "Give it rule files of Prometheus with `--rules`; those made from the checks are written by `kpwatch publish`. What is wrong with which node stands on the fleet page, with or without rules.",
    zh: "用 `--rules` 指定 Prometheus 规则文件；`kpwatch publish` 可以由检查项生成。无论有没有规则，各节点的问题都显示在节点总览中。",
  },

  targets_count: { en: "targets", zh: "目标" },
  answered: { en: "answered", zh: "成功" },
  failed_scrape: { en: "failed", zh: "失败" },
  last_scrape_health: { en: "Last scrape", zh: "最近抓取" },
  last_report: { en: "Last report", zh: "最近上报" },
  interval: { en: "Interval", zh: "间隔" },
  took_column: { en: "Took", zh: "耗时" },
  lag: { en: "Lag", zh: "发送延迟" },
  tip_lag: { en: "How long the oldest sample that is not delivered yet has waited, as the agent tells it", zh: "尚未送达的最旧样本等待了多久（由 agent 上报）" },
  spool: { en: "Spool", zh: "缓冲" },
  tip_spool: { en: "What waits in the agent's spool", zh: "agent 缓冲中等待发送的数据" },
  agent_version: { en: "Agent", zh: "Agent" },
  error: { en: "Error", zh: "错误" },
  filter_targets: { en: "Filter targets", zh: "筛选目标" },

  this_hub: { en: "This hub", zh: "本 hub" },
  like_prometheus: { en: "Compatible with Prometheus", zh: "兼容 Prometheus" },
  host: { en: "Host", zh: "主机" },
  started: { en: "Started", zh: "启动时间" },
  store: { en: "Store", zh: "存储" },
  series: { en: "Series", zh: "序列数" },
  oldest: { en: "Oldest sample", zh: "最早样本" },
  newest: { en: "Newest sample", zh: "最新样本" },
  retention: { en: "Retention", zh: "保留期" },
  for_ever: { en: "for ever", zh: "永久" },
  take_along: { en: "To take along", zh: "下载" },
  agents_in_cluster: { en: "The agent on every node", zh: "在每个节点运行 agent" },
  agents_in_cluster_lead: {
    en: "Namespace, ConfigMaps and DaemonSet that write to `{url}`. Name your image in it, then `kubectl apply -f kpwatch-agent.yaml`.",
    zh: "命名空间、ConfigMap 与 DaemonSet，写入 `{url}`。把镜像改成你的，然后执行 `kubectl apply -f kpwatch-agent.yaml`。",
  },
  download_manifest: { en: "Download kpwatch-agent.yaml", zh: "下载 kpwatch-agent.yaml" },
  show: { en: "Show", zh: "查看" },
  boards_and_rules: { en: "Boards, alert rules, runbooks", zh: "仪表盘、告警规则与处理手册" },
  boards_and_rules_lead: {
    en: "Made from the same table as these pages, for systems you have.",
    zh: "与本页面出自同一张表，可导入你已有的系统。",
  },
  pack_nightingale: { en: "boards, alert rules, recording rules, dictionary", zh: "仪表盘、告警规则、记录规则、指标词典" },
  pack_grafana: { en: "boards and their provisioning", zh: "仪表盘与自动配置文件" },
  pack_prometheus: { en: "alert and recording rules; for VictoriaMetrics and Mimir too", zh: "告警规则与记录规则，也适用于 VictoriaMetrics 和 Mimir" },
  pack_markdown: { en: "dictionary and a runbook for each check", zh: "指标词典，每项检查一份处理手册" },
  or_publish: {
    en: "`kpwatch publish` writes the same files, with the rules' unit tests, or pushes them.",
    zh: "`kpwatch publish` 写出同样的文件（含规则的单元测试），也能直接推送。",
  },
  for_programs: { en: "For programs", zh: "供程序使用" },
  licences: { en: "Licences of the page's libraries", zh: "页面所用库的许可证" },
  options: { en: "Options", zh: "启动参数" },
  retry: { en: "Try again", zh: "重试" },
  failed: { en: "This could not be had from the hub: {error}", zh: "无法从 hub 取得数据：{error}" },

  open_to_all: {
    en: "Everybody who reaches {address} may write and read: the hub runs with `--allow-anonymous`. `--auth-file` asks for a secret.",
    zh: "任何能访问 {address} 的人都可以读写：hub 以 `--allow-anonymous` 运行。用 `--auth-file` 可以要求密码。",
  },

  // Fleet: the verdicts, worst first, and the columns.
  critical: { en: "critical", zh: "严重" },
  warning: { en: "warning", zh: "警告" },
  silent: { en: "silent", zh: "失联" },
  info: { en: "info", zh: "提示" },
  unknown: { en: "unknown", zh: "未知" },
  ok: { en: "ok", zh: "正常" },
  silent_for: { en: "silent for {age}", zh: "已失联 {age}" },
  silent_long: { en: "silent; no sample within a day", zh: "失联；最近一天没有样本" },
  silence_node_gone: { en: "the cluster no longer has it", zh: "集群里已没有该节点" },
  silence_no_kube_proxy: { en: "its agent speaks, but not of kube-proxy", zh: "采集端在上报，但没有 kube-proxy" },
  ident: { en: "ident", zh: "ident" },
  verdict: { en: "Verdict", zh: "结论" },
  version: { en: "Version", zh: "版本" },
  mode: { en: "Mode", zh: "模式" },
  last_sync: { en: "Last sync", zh: "上次同步" },
  sync_p99: { en: "Sync p99", zh: "同步 p99" },
  pending: { en: "Pending", zh: "待同步变更" },
  failures: { en: "Failures", zh: "写入失败" },
  finding: { en: "Finding", zh: "问题" },
  up: { en: "up", zh: "up" },
  trend: { en: "Sync time", zh: "同步耗时" },
  tip_trend: { en: "Mean time of a sync during the last 30 minutes", zh: "最近 30 分钟的平均同步耗时" },
  trend_words: { en: "mean sync time of the last 30 minutes, now {last}", zh: "最近 30 分钟的平均同步耗时，当前 {last}" },
  and_more: { en: "(+{count} more)", zh: "（另有 {count} 项）" },
  found_in_fleet: { en: "Findings of the fleet", zh: "整个集群的问题" },
  any_of: { en: "{name}: any", zh: "{name}：全部" },
  tip_ident: { en: "The node's name; its link shows the node", zh: "节点名，点击查看该节点" },
  tip_verdict: { en: "The verdict about this node's kube-proxy", zh: "对该节点 kube-proxy 的判断" },
  tip_version: { en: "kube-proxy's version", zh: "kube-proxy 的版本" },
  tip_mode: { en: "Proxy mode: iptables, nftables or ipvs", zh: "代理模式：iptables、nftables 或 ipvs" },
  tip_last_sync: {
    en: "Age of the last successful sync of the rules. In a quiet cluster it grows between changes; that is normal.",
    zh: "距最近一次成功同步规则的时间。集群没有变更时它会增长，属于正常现象。",
  },
  tip_sync_p99: { en: "99 % of the syncs took no longer than this", zh: "99% 的同步不超过这个时长" },
  tip_pending: {
    en: "Service and endpoint changes received but not yet applied",
    zh: "已收到但尚未生效的 Service 与 Endpoint 变更数",
  },
  tip_failures: { en: "Failed rule writes since kube-proxy started", zh: "自 kube-proxy 启动以来规则写入失败的次数" },
  tip_finding: { en: "What is wrong, with the id of the check that says so", zh: "问题说明，以及得出它的检查项" },
  tip_up: { en: "1: the last scrape was answered. 0: it failed.", zh: "1：最近一次抓取成功；0：失败。" },
  never: { en: "never", zh: "从未" },
  all_series: { en: "All series of {ident}", zh: "{ident} 的全部时间序列" },
  last_seen: { en: "last sample {time}", zh: "最近样本 {time}" },
  nodes_count: { en: "nodes", zh: "节点" },
  filter_nodes: { en: "Filter nodes", zh: "筛选节点" },
  sort_by: { en: "Sort by", zh: "排序" },
  worst_first: { en: "Worst first", zh: "最差的在前" },
  no_match: { en: "Nothing matches this filter.", zh: "没有符合筛选条件的行。" },
  clear_filter: { en: "Clear filter", zh: "清除筛选" },
  updated: { en: "Live · updated {age} ago", zh: "实时 · {age}前更新" },
  loading: { en: "Loading…", zh: "加载中…" },
  hub_silent: {
    en: "The hub does not answer: {error}. Asking again every 5 s.",
    zh: "hub 没有应答：{error}。每 5 秒重试一次。",
  },
  data_from: { en: "The page shows the data of {age} ago.", zh: "页面显示的是 {age}前的数据。" },

  // An empty hub says what comes next.
  empty_title: { en: "No node has written to this hub yet", zh: "还没有节点向这个 hub 写入数据" },
  empty_lead: {
    en: "Point an agent at it. The nodes appear here by themselves a few seconds after their first samples.",
    zh: "请让 agent 写到这里。收到第一批样本后几秒内，节点会自动出现在本页。",
  },
  step_writer: { en: "In the agent's `conf/config.toml`, name this hub:", zh: "在 agent 的 `conf/config.toml` 中写上这个 hub：" },
  step_input: {
    en: "In `conf/input.prometheus/prometheus.toml`, name the node's kube-proxy:",
    zh: "在 `conf/input.prometheus/prometheus.toml` 中写上本节点的 kube-proxy：",
  },
  step_test: { en: "Look at what it would send, then start it:", zh: "先看看会发送什么，再启动：" },
  loopback_note: {
    en: "{host} is reachable from this machine only. For agents on other nodes, start the hub with `--listen` on an address they can reach, and open this page by that address.",
    zh: "{host} 只能从本机访问。要接收其他节点的 agent，请用 `--listen` 让 hub 监听它们能访问的地址，并用该地址打开本页。",
  },
  agent_on_host: { en: "The agent on one host", zh: "在单台主机运行 agent" },
  or_demo: { en: "A simulated cluster first", zh: "先看看模拟集群" },
  copy: { en: "Copy", zh: "复制" },
  copied: { en: "Copied", zh: "已复制" },
  select_to_copy: { en: "Selected: press Ctrl+C", zh: "已选中，请按 Ctrl+C" },

  // Table view.
  query: { en: "PromQL query", zh: "PromQL 查询" },
  query_hint: { en: "Enter runs · Shift+Enter breaks the line", zh: "回车执行 · Shift+回车换行" },
  run: { en: "Run", zh: "执行" },
  examples: { en: "Examples", zh: "示例" },
  at: { en: "At", zh: "时间" },
  now: { en: "Now", zh: "现在" },
  chosen_time: { en: "Evaluation time", zh: "查询时间" },
  auto_refresh: { en: "Refresh every 5 s", zh: "每 5 秒刷新" },
  columns: { en: "Columns", zh: "列" },
  csv: { en: "Download CSV", zh: "下载 CSV" },
  json: { en: "JSON", zh: "JSON" },
  filter_rows: { en: "Filter rows", zh: "筛选行" },
  value: { en: "Value", zh: "值" },
  time: { en: "Time", zh: "时间" },
  gap: { en: "Gap", zh: "间隔" },
  tip_gap: { en: "Time since the series' sample before", zh: "距同一序列上一个样本的时间" },
  age: { en: "Age", zh: "样本年龄" },
  tip_label: { en: "Label {name}", zh: "标签 {name}" },
  tip_value: { en: "Exactly as the server gave it; hover a value to read it in units", zh: "服务器返回的原值；悬停可看换算" },
  tip_age: { en: "Age of the sample at the evaluation time", zh: "样本在查询时刻的年龄" },
  replaced_variable: {
    en: "{variable} is a variable of a board; {seconds} s stand for it here.",
    zh: "{variable} 是仪表盘变量，这里用 {seconds} 秒代替。",
  },
  computed: { en: "computed", zh: "计算值" },
  tip_computed: {
    en: "Computed by the query for {time}; it has no sample of its own, so no age",
    zh: "由查询在 {time} 计算得出，没有对应的单个样本，因此没有年龄",
  },
  age_unknown: { en: "Age not known: {reason}", zh: "年龄未知：{reason}" },
  age_too_many: {
    en: "several metrics at once and more than {limit} series; narrow the query",
    zh: "同时查询多个指标且超过 {limit} 条序列，请缩小查询范围",
  },
  age_no_sample: { en: "no sample found in the last 5 minutes", zh: "最近 5 分钟内没有样本" },
  row: { en: "1 row", zh: "1 行" },
  rows: { en: "{shown} rows", zh: "{shown} 行" },
  rows_of: { en: "{shown} of {total} rows", zh: "{shown} / {total} 行" },
  took: { en: "{ms} ms", zh: "{ms} 毫秒" },
  evaluated_at: { en: "at {time}", zh: "时刻 {time}" },
  result_scalar: { en: "scalar", zh: "标量" },
  result_string: { en: "string", zh: "字符串" },
  result_matrix: { en: "range vector: one row per sample", zh: "区间向量：每个样本一行" },
  nothing_yet: {
    en: "Write a PromQL query above, or choose an example.",
    zh: "在上方输入 PromQL 查询，或选择一个示例。",
  },
  empty_result: {
    en: "No series at this time. The metric's name may be misspelt, its labels may not match, or nothing was written in the 5 minutes before.",
    zh: "该时刻没有序列。可能是指标名写错、标签不匹配，或此前 5 分钟没有写入。",
  },
  query_failed: { en: "The query failed", zh: "查询失败" },
  server_unreachable: { en: "the server cannot be reached", zh: "无法连接服务器" },
  server_slow: { en: "no answer within {seconds} s", zh: "{seconds} 秒内没有应答" },
  server_status: { en: "the server answered {status}", zh: "服务器返回 {status}" },
  not_json: { en: "the answer is not JSON", zh: "应答不是 JSON" },

  // Examples of the table view.
  ex_article: { en: "All sync metrics (the article's)", zh: "全部同步指标（文章示例）" },
  ex_up: { en: "Scrapes answered", zh: "抓取是否成功" },
  ex_last: { en: "Last sync, timestamp", zh: "上次同步时间戳" },
  ex_since: { en: "Seconds since last sync", zh: "距上次同步秒数" },
  ex_p99: { en: "Sync p99", zh: "同步耗时 p99" },
  ex_pending: { en: "Pending changes", zh: "待同步变更" },
  ex_failures: { en: "Failures in 15 min", zh: "15 分钟内失败" },
  ex_api: { en: "API requests by code", zh: "API 请求（按状态码）" },
  ex_memory: { en: "Memory", zh: "内存" },
  ex_programming: { en: "Programming latency p99", zh: "网络编程延迟 p99" },

  // Units of time in running text.
  unit_ms: { en: "{n} ms", zh: "{n} 毫秒" },
  unit_s: { en: "{n} s", zh: "{n} 秒" },
  unit_min: { en: "{n} min", zh: "{n} 分" },
  unit_h: { en: "{n} h", zh: "{n} 小时" },
  unit_d: { en: "{n} d", zh: "{n} 天" },
  ago: { en: "{age} ago", zh: "{age}前" },
  ahead: { en: "{age} ahead", zh: "超前 {age}" },
} satisfies Record<string, Said>;

export type Word = keyof typeof table;
export const WORDS: Readonly<Record<Word, Said>> = table;
export type Language = "zh" | "en";

export const LANGUAGES = [
  { code: "zh", name: "中文", tag: "zh-CN" },
  { code: "en", name: "English", tag: "en" },
] as const;

const MEMORY_KEY = "kpwatch.language";
let current: Language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function remembered(): Language | null {
  try {
    const code = localStorage.getItem(MEMORY_KEY);
    return LANGUAGES.find((each) => each.code === code)?.code ?? null;
  } catch {
    return null; // storage may be forbidden; the browser's language decides then
  }
}

export const language = (): Language => current;
export const languageTag = (): string => (current === "zh" ? "zh-CN" : "en");

export function chooseLanguage(code: Language): void {
  current = code;
  try {
    localStorage.setItem(MEMORY_KEY, code);
  } catch {
    // The choice lasts as long as the page, which is all that can be had without storage.
  }
}

/** The words of `key` in the chosen language, {placeholders} filled from `values`. */
export function t(key: Word, values: Readonly<Record<string, string | number>> = {}): string {
  return WORDS[key][current].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export const hasWords = (key: string): key is Word => Object.hasOwn(WORDS, key);

/** What the hub says in both languages, in the chosen one. */
export const said = (text: Said | null | undefined): string => text?.[current] ?? "";
