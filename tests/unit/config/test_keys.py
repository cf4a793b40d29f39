"""The key table: complete, consistent, and true about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.config.input_keys import INPUT, INPUT_TABLES
from kpwatch.config.kinds import KINDS
from kpwatch.config.root_keys import ROOT, ROOT_TABLES

if TYPE_CHECKING:
    from kpwatch.config.keys import Key, Table

TABLES = [ROOT, *ROOT_TABLES, INPUT, *INPUT_TABLES]
ROWS = [pytest.param(table, key, id=f"{table.path}.{key.name}") for table in TABLES for key in table.keys]

TLS = (
    "use_tls tls_ca tls_cert tls_key tls_key_pwd insecure_skip_verify tls_server_name tls_min_version tls_max_version "
    "tls_cipher_suites"
)
CLIENT = f"url basic_auth_user basic_auth_pass headers timeout dial_timeout max_idle_conns_per_host {TLS}"

ORIGINAL = {
    "global": "print_configs hostname omit_hostname interval providers concurrency precision labels",
    "log": "file_name max_size max_age max_backups local_time compress",
    "writer_opt": "batch chan_size",
    "writers": CLIENT,
    "http": "enable address print_access run_mode ignore_hostname agent_host_tag ignore_global_labels cert_file "
    "key_file read_timeout write_timeout idle_timeout",
    "ibex": "enable interval meta_dir servers",
    "heartbeat": f"enable interval http_proxy {CLIENT}",
    "prometheus": "enable scrape_config_file log_level web_address wal_storage_path min_block_duration "
    "max_block_duration retention_time retention_size",
    "http_provider": f"remote_url headers basic_auth_user basic_auth_pass timeout reload_interval {TLS}",
    "logs": "enable",
    "instances": "urls timeout interval_times labels url_label_key url_label_value url_label_pair name_prefix "
    "metrics_name_prefix ignore_metrics ignore_label_keys metrics_drop metrics_pass processor_enum relabel_configs "
    "username password bearer_token_string bearer_token_file headers duplication_allowed consul " + TLS,
    "instances.processor_enum": "metrics value_mappings",
    "instances.relabel_configs": "source_labels separator regex modulus target_label replacement action",
    "instances.consul": "enabled agent query_interval query",
    "instances.consul.query": "name tag dc url tags",
}


@pytest.mark.parametrize("path", ORIGINAL)
def test_every_key_of_the_original_is_known(path: str) -> None:
    """Categraf v0.5.17, by table."""
    table = next(table for table in TABLES if table.path == path)
    assert set(ORIGINAL[path].split()) - {key.name for key in table.keys} == set()


@pytest.mark.parametrize(("table", "key"), ROWS)
def test_rows_are_consistent(table: Table, key: Key) -> None:
    """A known kind, a nested table where one is announced, a sentence, once."""
    assert key.kind in KINDS or key.kind in ("table", "tables")
    if key.kind in ("table", "tables"):
        assert f"{table.path}.{key.name}".lstrip(".") in {other.path for other in TABLES}
        assert key.default is None
    assert key.does
    assert [other.name for other in table.keys].count(key.name) == 1


def as_written(default: object) -> object:
    """A default as it would stand in TOML."""
    return list(default) if isinstance(default, tuple) else default


@pytest.mark.parametrize(("table", "key"), ROWS)
def test_defaults_are_of_their_kind(table: Table, key: Key) -> None:
    """Writing the default into the file changes nothing."""
    del table
    if key.default is None:
        return
    if key.kind in ("labels", "numbers"):
        assert key.default == ()
    elif key.kind == "milliseconds":
        assert key.default == 0.0
    else:
        assert KINDS[key.kind].check(as_written(key.default)) == key.default


def test_switches_are_booleans() -> None:
    """A table is turned on by a key of its own."""
    for table in TABLES:
        switch = table.find(table.switch) if table.switch else None
        assert switch is None or switch.kind == "bool", table.path


def test_what_holds_a_secret_is_marked() -> None:
    """By their names; a new key that sounds like one must say so."""
    suspicious = ("auth_pass", "password", "token_string", "headers", "pwd", "tls_key")
    unmarked = [
        f"{table.path}.{key.name}"
        for table in TABLES
        for key in table.keys
        if not key.secret and any(key.name.endswith(word) for word in suspicious)
    ]
    assert unmarked == []


def test_names_are_found_in_any_case() -> None:
    """As the original's decoder does; the exact name wins."""
    writers = next(table for table in TABLES if table.path == "writers")
    assert writers.find("Basic_Auth_User") == writers.find("basic_auth_user")
    assert writers.find("nothing") is None
