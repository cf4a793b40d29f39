"""The key table, first part: the root document (config.toml and the other *.toml beside it)."""

from __future__ import annotations

from kpwatch.config.keys import ACCEPTED, REFUSED, WORKS, Key, Table, http_client_keys, relabel_keys, tls_keys

_NO_AGENT_MODE = "there is no embedded Prometheus here; list the targets in input.prometheus"
_NO_REMOTE_COMMANDS = "this agent runs no commands that a server sends"
_NO_LOG_SHIPPING = "this agent ships no log files"
_NO_TRACES = "this agent takes no traces"
_FILES_ONLY = "the configuration comes from files; mount a ConfigMap instead"
_LOGS_TO_STDERR = "logs go to stderr; whoever runs the agent keeps and rotates them"
_HEARTBEAT = "reports this machine to Nightingale every interval"
_RENEWED = "read again when it changes"
_NO_ENDLESS_WAIT = "the original then waits for ever"
_OWN_ENDPOINT = "opens /healthz, /readyz, /metrics and /targets"

ROOT = Table(
    "",
    (
        Key("global", "table", None, WORKS, "the agent itself"),
        Key("log", "table", None, WORKS, "where log lines go"),
        Key("writer_opt", "table", None, WORKS, "requests and queues of all writers"),
        Key("writers", "tables", None, WORKS, "one receiver each; several are independent of each other"),
        Key("http", "table", None, WORKS, "an HTTP endpoint"),
        Key("ibex", "table", None, WORKS, "remote commands"),
        Key("heartbeat", "table", None, WORKS, "reports to Nightingale"),
        Key("prometheus", "table", None, WORKS, "an embedded Prometheus agent"),
        Key("http_provider", "table", None, WORKS, "inputs from a server"),
        Key("logs", "table", None, WORKS, "log shipping"),
        Key("traces", "table", None, WORKS, "trace receivers"),
        Key("kpwatch", "table", None, WORKS, "our own keys; the original ignores the table"),
    ),
)

GLOBAL = Table(
    "global",
    (
        Key("hostname", "string", "", WORKS, "value of agent_hostname; expanded; empty: the machine's name"),
        Key("omit_hostname", "bool", False, WORKS, "do not add agent_hostname"),
        Key("interval", "duration", 15.0, WORKS, "between two scrapes of a target; 0 or less: 15 s"),
        Key("labels", "labels", (), WORKS, "added where a series has no such label; values expanded"),
        Key("precision", "string", "ms", WORKS, 'timestamps cut to "ms", "s" or "m"'),
        Key("providers", "strings", ("local",), WORKS, 'where inputs come from: "local", these files'),
        Key("concurrency", "integer", 0, ACCEPTED, "targets never wait for each other, so there is nothing to limit"),
        Key("print_configs", "bool", False, REFUSED, "it prints passwords; use `kpwatch check config`"),
        Key("disable_usage_report", "bool", False, ACCEPTED, "this agent never reports its usage to anyone"),
    ),
)

LOG = Table(
    "log",
    (
        Key("file_name", "string", "", REFUSED, _LOGS_TO_STDERR, quiet=("stdout", "stderr")),
        Key("max_size", "integer", 0, ACCEPTED, _LOGS_TO_STDERR),
        Key("max_age", "integer", 0, ACCEPTED, _LOGS_TO_STDERR),
        Key("max_backups", "integer", 0, ACCEPTED, _LOGS_TO_STDERR),
        Key("local_time", "bool", False, ACCEPTED, _LOGS_TO_STDERR),
        Key("compress", "bool", False, ACCEPTED, _LOGS_TO_STDERR),
    ),
)

WRITER_OPT = Table(
    "writer_opt",
    (
        Key("batch", "integer", 1000, WORKS, "samples per request; 0 or less: 1000"),
        Key("chan_size", "integer", 1_000_000, WORKS, "samples that may wait per writer; 0 or less: 1,000,000"),
    ),
)

WRITERS = Table(
    "writers",
    (
        Key("url", "string", "", WORKS, "where to POST Remote Write; not expanded", "same URL twice: both are used"),
        *http_client_keys(),
        *tls_keys("TLS keys count; always so for https"),
        Key("http_proxy", "string", "", WORKS, "our own: HTTP proxy, http://[USER:PASSWORD@]HOST:PORT", secret=True),
        Key("bearer_token_string", "string", "", WORKS, "our own: bearer token; wins over Basic auth", secret=True),
        Key("bearer_token_file", "string", "", WORKS, "our own: file with it, read again before each request"),
        Key("basic_auth_pass_file", "string", "", WORKS, "our own: file with basic_auth_pass, read in the same way"),
        Key("protocol", "string", "auto", WORKS, "our own: version of Remote Write: auto (found out), 1.0 or 2.0"),
        Key("relabel_configs", "tables", None, WORKS, "our own: rules for this writer alone, after everything else"),
        Key("hold", "bool", True, WORKS, "our own: samples wait while it answers 401, 403, 404, 3xx; false: drop them"),
        Key("restamps", "string", "auto", WORKS, "our own: it writes its own time over the samples': auto, yes or no"),
        Key("max_backfill_age", "duration", 0.0, WORKS, "our own: drop older samples; 0: none, if it restamps 60 s"),
        Key("ident", "string", "auto", WORKS, "our own: agent_hostname goes out as ident: auto, add, rename or off"),
        Key("retry_min", "duration", 0.0, WORKS, "our own: pause after the first failure; 0: 500 ms"),
        Key("retry_max", "duration", 0.0, WORKS, "our own: longest pause between two tries; 0: 30 s"),
    ),
)

WRITERS_RELABEL_CONFIGS = Table("writers.relabel_configs", relabel_keys())

HTTP = Table(
    "http",
    (
        Key(
            "enable",
            "bool",
            False,
            WORKS,
            _OWN_ENDPOINT,
            "the original opens a push gateway, which says nothing of itself",
        ),
        Key("address", "string", "", WORKS, "HOST:PORT to listen on, :PORT for all addresses; expanded"),
        Key("print_access", "bool", False, WORKS, "log each request"),
        Key("run_mode", "string", "release", ACCEPTED, "a setting of the original's web framework"),
        Key("ignore_hostname", "bool", False, REFUSED, "nothing can be pushed here"),
        Key("agent_host_tag", "string", "", REFUSED, "nothing can be pushed here"),
        Key("ignore_global_labels", "bool", False, REFUSED, "nothing can be pushed here"),
        Key("cert_file", "string", "", WORKS, "PEM file of the endpoint's certificate", _RENEWED),
        Key("key_file", "string", "", WORKS, "PEM file of its key, without a password", _RENEWED),
        Key("read_timeout", "integer", 0, WORKS, "seconds to read a request; 0: 10 s", _NO_ENDLESS_WAIT),
        Key("write_timeout", "integer", 0, WORKS, "seconds to write an answer; 0: 10 s", _NO_ENDLESS_WAIT),
        Key("idle_timeout", "integer", 0, WORKS, "seconds an idle connection is kept; 0: 60 s", _NO_ENDLESS_WAIT),
    ),
    switch="enable",
)

IBEX = Table(
    "ibex",
    (
        Key("enable", "bool", False, REFUSED, _NO_REMOTE_COMMANDS),
        Key("interval", "duration", 0.0, REFUSED, _NO_REMOTE_COMMANDS),
        Key("meta_dir", "string", "", REFUSED, _NO_REMOTE_COMMANDS),
        Key("servers", "strings", (), REFUSED, _NO_REMOTE_COMMANDS),
    ),
    switch="enable",
)

HEARTBEAT = Table(
    "heartbeat",
    (
        Key("enable", "bool", False, WORKS, _HEARTBEAT, "not in --test; no program is run for it"),
        Key("url", "string", "", WORKS, "where to POST it; not expanded", "an update it asks for is not followed"),
        Key("interval", "integer", 0, WORKS, "seconds between two, at least 4"),
        *http_client_keys(),
        Key("http_proxy", "string", "", WORKS, "HTTP proxy for it: http://[USER:PASSWORD@]HOST:PORT", secret=True),
        *tls_keys("TLS keys count"),
    ),
    switch="enable",
)

PROMETHEUS = Table(
    "prometheus",
    (
        Key("enable", "bool", False, REFUSED, _NO_AGENT_MODE),
        Key("scrape_config_file", "string", "", REFUSED, _NO_AGENT_MODE),
        Key("log_level", "string", "", REFUSED, _NO_AGENT_MODE),
        Key("web_address", "string", "", REFUSED, _NO_AGENT_MODE),
        Key("wal_storage_path", "string", "", REFUSED, _NO_AGENT_MODE),
        Key("wal_min_duration", "anything", None, REFUSED, _NO_AGENT_MODE),
        Key("min_block_duration", "anything", None, REFUSED, _NO_AGENT_MODE),
        Key("max_block_duration", "anything", None, REFUSED, _NO_AGENT_MODE),
        Key("retention_time", "anything", None, REFUSED, _NO_AGENT_MODE),
        Key("retention_size", "anything", None, REFUSED, _NO_AGENT_MODE),
    ),
    switch="enable",
)

HTTP_PROVIDER = Table(
    "http_provider",
    (
        Key("remote_url", "string", "", REFUSED, _FILES_ONLY),
        Key("headers", "pairs", (), ACCEPTED, _FILES_ONLY, secret=True),
        Key("basic_auth_user", "string", "", ACCEPTED, _FILES_ONLY),
        Key("basic_auth_pass", "string", "", ACCEPTED, _FILES_ONLY, secret=True),
        Key("timeout", "integer", 5, ACCEPTED, _FILES_ONLY),
        Key("reload_interval", "integer", 120, ACCEPTED, _FILES_ONLY),
        *(key._replace(status=ACCEPTED, does=_FILES_ONLY) for key in tls_keys("")),
    ),
)

LOGS = Table("logs", (Key("enable", "bool", False, REFUSED, _NO_LOG_SHIPPING),), switch="enable", open=True)

TRACES = Table("traces", (Key("enable", "bool", False, REFUSED, _NO_TRACES),), switch="enable", open=True)

KPWATCH = Table(
    "kpwatch",
    (
        Key("body_limit_bytes", "size", 64 << 20, WORKS, "a decompressed body above this fails its scrape (64 MiB)"),
        Key("sample_limit", "integer", 0, WORKS, "a scrape with more samples fails; 0: no limit"),
        Key("target_limit", "size", 10_000, WORKS, "targets that file_sd or consul of one instance may find"),
        Key("queue_bytes", "size", 64 << 20, WORKS, "what may wait in memory where the spool has no disk (64 MiB)"),
        Key(
            "spool_dir", "string", "", WORKS, "where samples wait; else $STATE_DIRECTORY/spool, /var/lib/kpwatch/spool"
        ),
        Key("spool_max_bytes", "size", 1 << 30, WORKS, "of the spool on disk; above it the oldest samples go (1 GiB)"),
        Key("spool_max_age", "duration", 31 * 86400.0, WORKS, "samples that wait longer go (31 days)"),
        Key("drain_timeout", "duration", 5.0, WORKS, "how long an ending agent waits for its writers"),
        Key("reload_interval", "duration", 5.0, WORKS, "how often changed files are looked for; 0: only SIGHUP"),
        Key("stale_at_shutdown", "bool", False, WORKS, "series end with the agent; else as if it had only lost touch"),
        Key(
            "http_address",
            "string",
            "",
            WORKS,
            f"HOST:PORT or :PORT; {_OWN_ENDPOINT} there, whatever [http] says; expanded",
        ),
        Key(
            "http_max_connections",
            "size",
            64,
            WORKS,
            "of that endpoint; above it the one that waits longest makes room",
        ),
        Key("ready_max_lag", "duration", 300.0, WORKS, "/readyz says 503 while a writer lags further behind; 0: never"),
        Key("kubernetes", "table", None, WORKS, "targets from a Kubernetes API server"),
        Key(
            "self_metrics",
            "bool",
            True,
            WORKS,
            "writes kpwatch_agent_* beside the samples, every [global] interval, 15 s at least",
        ),
    ),
)

KUBERNETES = Table(
    "kpwatch.kubernetes",
    (
        Key("enable", "bool", False, WORKS, "finds targets through the API server; they appear and go while it runs"),
        Key(
            "role",
            "string",
            "node",
            WORKS,
            "what is scraped: node (each node's address) or pod (each kube-proxy pod's address)",
        ),
        Key("scrape", "bool", True, WORKS, "false: scrape none, only write kpwatch_kubernetes_node_info"),
        Key("api_server", "string", "", WORKS, "its URL; empty: the one a pod is told of; expanded"),
        Key("namespace", "string", "kube-system", WORKS, "of the pods; empty: all"),
        Key("pod_selector", "string", "k8s-app=kube-proxy", WORKS, "labels of the pods"),
        Key("node_selector", "string", "", WORKS, "labels of the nodes; empty: all nodes"),
        Key("scheme", "string", "http", WORKS, "of the URLs to scrape: http or https"),
        Key("port", "size", 10249, WORKS, "of the URLs to scrape"),
        Key("path", "string", "/metrics", WORKS, "of the URLs to scrape"),
        Key(
            "address_types",
            "strings",
            ("InternalIP", "ExternalIP", "Hostname"),
            WORKS,
            "which of a node's addresses: the first that it has",
        ),
        Key("node_labels", "labels", (), WORKS, "label of a target = label of its node"),
        Key("shards", "size", 1, WORKS, "agents that share the nodes, by a hash of the node's name"),
        Key("shard", "string", "0", WORKS, "which of them this is, from 0; of NAME-2 it is 2; expanded"),
        Key("token_string", "string", "", WORKS, "bearer token", secret=True),
        Key("token_file", "string", "", WORKS, "file with it, read again for each request; empty: the pod's"),
        *tls_keys("needed for nothing: https is https"),
        Key("page_objects", "size", 100, WORKS, "objects to ask for at once"),
        Key("answer_limit_bytes", "size", 32 << 20, WORKS, "a larger page or line of a watch fails (32 MiB)"),
        Key("resync_interval", "duration", 1800.0, WORKS, "a list this old is made anew (30 min); 0: never"),
        Key("watch_timeout", "duration", 240.0, WORKS, "how long one watch is asked to last"),
        Key("retry_min", "duration", 1.0, WORKS, "pause after the first failure"),
        Key("retry_max", "duration", 60.0, WORKS, "longest pause between two tries"),
    ),
    switch="enable",
)

ROOT_TABLES = (
    GLOBAL, LOG, WRITER_OPT, WRITERS, WRITERS_RELABEL_CONFIGS, HTTP, IBEX, HEARTBEAT, PROMETHEUS, HTTP_PROVIDER, LOGS,
    TRACES, KPWATCH, KUBERNETES,
)  # fmt: skip
