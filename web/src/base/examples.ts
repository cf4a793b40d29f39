/* Queries to start from: the article's table view first. Each is right for every kube-proxy from 1.20 on. */

import type { Word } from "./words";

export const EXAMPLES: readonly { words: Word; query: string }[] = [
  { words: "ex_article", query: '{__name__=~"kubeproxy_sync_proxy_rules_.*",__name__!~".*_bucket"}' },
  { words: "ex_up", query: 'up{job="kube-proxy"}' },
  { words: "ex_last", query: "kubeproxy_sync_proxy_rules_last_timestamp_seconds" },
  { words: "ex_since", query: "time() - max by (ident) (kubeproxy_sync_proxy_rules_last_timestamp_seconds)" },
  {
    words: "ex_p99",
    query: "histogram_quantile(0.99, sum by (ident, le) (rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket[5m])))",
  },
  { words: "ex_pending", query: "kubeproxy_sync_proxy_rules_endpoint_changes_pending" },
  {
    words: "ex_failures",
    query: "sum by (ident) (increase(kubeproxy_sync_proxy_rules_iptables_restore_failures_total[15m]))",
  },
  {
    words: "ex_programming",
    query: "histogram_quantile(0.99, sum by (ident, le) (rate(kubeproxy_network_programming_duration_seconds_bucket[5m])))",
  },
  { words: "ex_api", query: "sum by (ident, code) (rate(rest_client_requests_total[5m]))" },
  { words: "ex_memory", query: "process_resident_memory_bytes" },
];
