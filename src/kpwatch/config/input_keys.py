"""The key table, second part: the document of input.prometheus (its *.toml joined)."""

from __future__ import annotations

from kpwatch.config.keys import ACCEPTED, REFUSED, WORKS, Key, Table, relabel_keys, tls_keys
from kpwatch.exposition.formats import PROTOCOLS

_GLOBS = "globs, matched as the original does"
_COUNTED = "what is left out is counted in /metrics, by rule"
_PASS = f"{_COUNTED}; our own kpwatch_* and scrape_* stay"
_RELABEL = "a bad rule is an error that names it, no crash"
_NO_PLUGIN_LEVEL = "the original ignores it at the top of this file; write it inside [[instances]]"
_LIMIT = "a scrape with more fails; 0: no limit"
_CONSUL = "targets from a Consul catalog"

INPUT = Table(
    "",
    (
        Key("instances", "tables", None, WORKS, "targets that share their settings"),
        Key("interval", "duration", 0.0, WORKS, "between two scrapes; wins over --interval and [global] interval"),
        Key("labels", "labels", (), REFUSED, _NO_PLUGIN_LEVEL),
        Key("metrics_drop", "strings", (), REFUSED, _NO_PLUGIN_LEVEL),
        Key("metrics_pass", "strings", (), REFUSED, _NO_PLUGIN_LEVEL),
        Key("metrics_name_prefix", "string", "", REFUSED, _NO_PLUGIN_LEVEL),
        Key("processor_enum", "anything", None, REFUSED, _NO_PLUGIN_LEVEL),
        Key("relabel_configs", "anything", None, REFUSED, _NO_PLUGIN_LEVEL),
    ),
)

INSTANCES = Table(
    "instances",
    (
        Key("urls", "strings", (), WORKS, "what to scrape; expanded; without a path: /metrics"),
        Key("timeout", "duration", 3.0, WORKS, "for a whole scrape, body included; 0 or less: 3 s"),
        Key("interval_times", "integer", 1, WORKS, "scrape every so many intervals", "the first scrape is at once"),
        Key("labels", "labels", (), WORKS, 'set on every sample, "-" deletes; values expanded'),
        Key("url_label_key", "string", "instance", WORKS, 'label that holds the URL; "-": none'),
        Key("url_label_value", "string", "", WORKS, "its value, a template such as {{.Host}}; empty: the whole URL"),
        Key("url_label_pair", "labels", (), WORKS, "more labels by such templates", "values may contain || and ="),
        Key(
            "name_prefix",
            "string",
            "",
            WORKS,
            "prefix and _ before family names that do not begin with it, not before up",
        ),
        Key("metrics_name_prefix", "string", "", WORKS, "put before every name, up included"),
        Key("ignore_metrics", "strings", (), WORKS, f"families to leave out; {_GLOBS}"),
        Key("ignore_label_keys", "strings", (), WORKS, f"scraped labels to leave out, never le and quantile; {_GLOBS}"),
        Key("metrics_drop", "strings", (), WORKS, f"samples to leave out, up included; {_GLOBS}", _COUNTED),
        Key("metrics_pass", "strings", (), WORKS, f"samples to keep, up only if listed; {_GLOBS}", _PASS),
        Key("processor_enum", "tables", None, WORKS, "replaces values", "without metrics: an error, no crash"),
        Key("relabel_configs", "tables", None, WORKS, "Prometheus' relabelling, last of all steps", _RELABEL),
        Key("username", "string", "", WORKS, "Basic auth, sent if the password is not empty either"),
        Key("password", "string", "", WORKS, "its password", secret=True),
        Key("bearer_token_string", "string", "", WORKS, "Bearer auth; wins over Basic auth", secret=True),
        Key("bearer_token_file", "string", "", WORKS, "file with the token, read again for each scrape; wins"),
        Key("headers", "pairs", (), WORKS, 'sent with every request: ["Name", "value", …]', secret=True),
        Key("duplication_allowed", "bool", False, ACCEPTED, "repeated HELP and TYPE lines never harm here"),
        *tls_keys("TLS keys count; without it an https target is checked against the system's CAs"),
        Key("consul", "table", None, WORKS, _CONSUL),
        Key(
            "file_sd",
            "strings",
            (),
            WORKS,
            "our own: JSON files of targets in Prometheus' format, read again on change",
        ),
        Key("kubernetes", "bool", False, WORKS, "our own: the settings of what [kpwatch.kubernetes] finds"),
        Key(
            "scrape_protocols",
            "strings",
            (),
            WORKS,
            f"our own: formats to ask for, the first one most: {', '.join(PROTOCOLS)}; empty: all, in this order",
        ),
        Key("honor_labels", "bool", False, WORKS, "our own: scraped labels win over those of the URL and of labels"),
        Key("honor_timestamps", "bool", True, WORKS, "our own: a page's own timestamps count"),
        Key("sample_limit", "integer", 0, WORKS, "our own: as in [kpwatch], for these; 0: that one, below 0: no limit"),
        Key("body_limit_bytes", "integer", 0, WORKS, "our own: as in [kpwatch], for these; 0 or less: that one"),
        Key("label_limit", "integer", 0, WORKS, f"our own: labels of a series, __name__ included; {_LIMIT}"),
        Key("label_name_length_limit", "integer", 0, WORKS, f"our own: bytes of a label's name; {_LIMIT}"),
        Key("label_value_length_limit", "integer", 0, WORKS, f"our own: bytes of a label's value; {_LIMIT}"),
        Key("kpwatch_health", "string", "", WORKS, "our own: URL of the health port, or off; else found beside :10249"),
    ),
)

PROCESSOR_ENUM = Table(
    "instances.processor_enum",
    (
        Key("metrics", "strings", (), WORKS, f"names; {_GLOBS}"),
        Key("value_mappings", "numbers", (), WORKS, "printed value = new value"),
    ),
)

RELABEL_CONFIGS = Table("instances.relabel_configs", relabel_keys())

CONSUL = Table(
    "instances.consul",
    (
        Key("enabled", "bool", False, WORKS, _CONSUL, "targets appear and go while it runs"),
        Key(
            "agent",
            "string",
            "",
            WORKS,
            "URL or HOST:PORT of the Consul agent; empty: $CONSUL_HTTP_ADDR, else 127.0.0.1:8500",
        ),
        Key(
            "query_interval",
            "duration",
            0.0,
            WORKS,
            "between two queries; 0: 30 s",
            "the original then asks without a pause",
        ),
        Key("query", "tables", None, WORKS, "services to ask for"),
    ),
    switch="enabled",
)

CONSUL_QUERY = Table(
    "instances.consul.query",
    (
        Key("name", "string", "", WORKS, "service"),
        Key("tag", "string", "", WORKS, "tag of the service"),
        Key("dc", "string", "", WORKS, "datacenter"),
        Key("url", "string", "", WORKS, "template of the URL to scrape, over an entry of the catalog"),
        Key("tags", "labels", (), WORKS, "templates of labels; they overwrite those of the URL"),
    ),
)

INPUT_TABLES = (INSTANCES, PROCESSOR_ENUM, RELABEL_CONFIGS, CONSUL, CONSUL_QUERY)
