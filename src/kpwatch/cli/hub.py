"""`kpwatch hub`: receive, keep, answer, until Ctrl-C."""

from __future__ import annotations

import argparse
import gc
import os
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import UsageError
from kpwatch.cli.waiting import until_told_to_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.api.certificate import TlsFiles
    from kpwatch.gateway import Gateway
    from kpwatch.hub import Hub, HubOptions
    from kpwatch.rules.options import RuleOptions
    from kpwatch.upstream.options import UpstreamOptions

_EPILOG = """\
Agents (kpwatch agent, Categraf, Prometheus, vmagent) write to /prometheus/v1/write or /api/v1/write; Grafana and
Nightingale read at /prometheus or /; people open / in a browser. 204 to a write means: on disk.

  kpwatch hub                                             this machine only, data in ./kpwatch-data
  kpwatch hub --data /var/lib/kpwatch/hub --retention 90d
  kpwatch hub --listen :19000 --auth-file /etc/kpwatch/users    other machines too, with a secret
  kpwatch hub --listen 10.0.0.5:19000 --allow-anonymous         other machines too, without one
  kpwatch hub --rules '/etc/kpwatch/rules/*.yml'          alerting and recording rules, read again on SIGHUP
  kpwatch hub --check /var/lib/kpwatch/hub                is everything in a stopped hub's directory readable?

The auth file has one user:secret a line, for Basic auth or "Authorization: Bearer secret"; the secret may be an argon2
hash (docs/reference/hub.md).
Exit code: 0 after SIGTERM or SIGINT, 1 for a port or directory that cannot be had, 2 for a wrong command line;
of --check 0 if all is well, 1 if anything is damaged or cannot be checked.
"""


def main(arguments: list[str]) -> int:
    """Serve until a signal, or check a stopped hub's data; the exit code, or what errors make of it."""
    given = _parser().parse_args(arguments)
    if given.check is not None:
        from kpwatch.cli.checking import check_data

        return check_data(given.check)
    options = _options(given)
    with until_told_to_end() as told:
        hub = _build(options)
        hub.start()
        _collect_seldom()
        try:
            where = f"data in {options.data}" if options.upstream is None else f"engine {options.upstream.url}"
            print(f"kpwatch hub: {hub.url}/  ({where}; Ctrl-C ends it)", flush=True)
            with _reloading(hub):
                told.wait()
        finally:
            hub.stop()
    return 0


@contextmanager
def _reloading(hub: Hub | Gateway) -> Iterator[None]:
    """Meanwhile SIGHUP has rule files read again; without rules it does what it did before."""
    if hub.rules is None:
        yield
        return
    rules = hub.rules
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: rules.reload_soon())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _build(options: HubOptions) -> Hub | Gateway:
    if options.upstream is not None:
        from kpwatch.gateway import build as build_gateway

        return build_gateway(options)
    from kpwatch.hub import build

    return build(options)


def _collect_seldom() -> None:
    """What is there after a start stays, and requests leave next to no cycles: looking for them often is a waste."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _options(given: argparse.Namespace) -> HubOptions:
    from kpwatch.hub import HubOptions, QueryOptions
    from kpwatch.receive.limits import ReceiveOptions

    host, port = given.listen
    return HubOptions(
        data=given.data,
        host=host,
        port=port,
        retention_seconds=given.retention,
        retention_bytes=given.retention_size,
        cache_bytes=given.cache_size,
        targets_max=given.max_targets,
        series_per_target_max=given.max_series_per_target,
        receive=ReceiveOptions(
            labels_per_series=given.max_labels_per_series,
            label_name_bytes=given.max_label_name_bytes,
            label_value_bytes=given.max_label_value_bytes,
        ),
        auth_file=given.auth_file,
        allow_anonymous=given.allow_anonymous,
        admin_user=given.admin_user if given.enable_admin_api else "",
        tls=_tls(given),
        rules=_rules(given),
        upstream=_upstream(given),
        cors_origin=given.cors_origin,
        query=QueryOptions(
            timeout_seconds=given.query_timeout,
            concurrency=given.query_concurrency,
            max_samples=given.query_max_samples,
            answer_bytes_max=given.query_max_answer,
        ),
    )


def _tls(given: argparse.Namespace) -> TlsFiles | None:
    if not (given.tls_cert or given.tls_key):
        return None
    if not (given.tls_cert and given.tls_key):
        raise UsageError("--tls-cert and --tls-key belong together: give both, or neither")
    from kpwatch.api.certificate import TlsFiles

    return TlsFiles(given.tls_cert, given.tls_key)


def _upstream(given: argparse.Namespace) -> UpstreamOptions | None:
    if not given.engine:
        if given.engine_write:
            raise UsageError("--engine-write needs --engine: a hub with a store of its own keeps what is written")
        return None
    if given.engine_basic_auth_file and given.engine_bearer_token_file:
        raise UsageError("--engine-basic-auth-file and --engine-bearer-token-file: a request has one of them; give one")
    if given.engine_tls_key and not given.engine_tls_cert:
        raise UsageError("--engine-tls-key needs --engine-tls-cert, the certificate it belongs to")
    from kpwatch.upstream.options import UpstreamOptions, header, server_url, write_url

    return UpstreamOptions(
        url=server_url("--engine", given.engine),
        write_url=write_url("--engine-write", given.engine_write) if given.engine_write else "",
        timeout_seconds=given.engine_timeout,
        concurrency=given.engine_concurrency,
        answer_bytes=given.engine_max_answer,
        basic_auth_file=given.engine_basic_auth_file,
        bearer_token_file=given.engine_bearer_token_file,
        headers=tuple(map(header, given.engine_header)),
        tenant=given.engine_tenant,
        tls_ca=given.engine_tls_ca,
        tls_cert=given.engine_tls_cert,
        tls_key=given.engine_tls_key,
        tls_skip_verify=given.engine_tls_skip_verify,
    )


def default_data() -> Path:
    """Where samples are kept unless told: systemd's state directory, else beside where the hub was started."""
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) / "hub" if state else Path("kpwatch-data")


def listen_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:19000`, `:19000` (every address), `[::1]:0` -> (host, port); raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f"--listen {text!r}: expected HOST:PORT, such as 127.0.0.1:19000, or :19000 for every address")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _checked(read: Callable[[str], float], least: float) -> Callable[[str], float]:
    def check(text: str) -> float:
        try:
            value = read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected at least {least:g}")
        return value

    return check


_SIZE_UNITS = {"B": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}


def _size(text: str) -> int:
    """`50GB`, `512MB`, `0`: units are powers of 1024, as Prometheus' retention.size has them."""
    digits = text.rstrip("BKMGTi")
    unit = text[len(digits) :]
    if text != "0" and (not (digits.isascii() and digits.isdigit()) or unit not in _SIZE_UNITS):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a size such as 512MB or 50GB (B KB MB GB TB, of 1024); 0 = any"
        )
    return int(digits) << _SIZE_UNITS.get(unit, 0)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number; 0 = no limit")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


_LIMITS = (
    ("targets", 100_000, _limit, "samples of further targets are answered 400 and not kept; 0 = no limit"),
    ("series-per-target", 1_000_000, _limit, "the same for further series of a target"),
    ("labels-per-series", 64, _count, "a request with a series of more is answered 400"),
    ("label-name-bytes", 1024, _count, "the same for longer label names"),
    ("label-value-bytes", 16384, _count, "the same for longer label values"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch hub",
        description="Receive samples, keep them on disk, answer PromQL, show the fleet.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen", type=listen_address, default="127.0.0.1:19000", metavar="HOST:PORT", help="default 127.0.0.1:19000"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=default_data(),
        metavar="DIR",
        help="where samples are kept (default $STATE_DIRECTORY/hub, else ./kpwatch-data)",
    )
    parser.add_argument(
        "--retention",
        type=_checked(parse_prometheus, 0),
        default="15d",
        metavar="DURATION",
        help="how long: 15d (default), 12h, 1y; 0 = for ever",
    )
    parser.add_argument(
        "--retention-size",
        type=_size,
        default="0",
        metavar="SIZE",
        help="how much: 50GB, 512MB; beyond it the oldest blocks go (default 0 = as much as the disk has)",
    )
    parser.add_argument(
        "--cache-size",
        type=_size,
        default="128MB",
        metavar="SIZE",
        help="what queries leave in memory for the next, samples and answers (default 128MB, 0 = nothing)",
    )
    for name, default, kind, what in _LIMITS:
        parser.add_argument(
            f"--max-{name}", type=kind, default=default, metavar="N", help=f"{what} (default {default})"
        )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="DIR",
        help="serve nothing: verify every page, row and block of a stopped hub's data, name what is damaged",
    )
    parser.add_argument("--auth-file", type=Path, metavar="FILE", help="user:secret lines; without it nobody is asked")
    parser.add_argument(
        "--allow-anonymous", action="store_true", help="let other machines write and read without a secret"
    )
    parser.add_argument(
        "--enable-admin-api",
        action="store_true",
        help="let the admin of the auth file delete series (kpwatch delete --url, /api/v1/admin/tsdb/delete_series)",
    )
    parser.add_argument(
        "--admin-user", default="admin", metavar="USER", help="who that is in the auth file (default admin)"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve https: the certificate and its chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM; both are read again when changed")
    parser.add_argument(
        "--cors-origin",
        default=".*",
        metavar="REGEX",
        help="whose pages may read Prometheus' API from a browser (default .*, as Prometheus' --web.cors.origin)",
    )
    parser.add_argument(
        "--query-timeout",
        type=_checked(parse_prometheus, 0.001),
        default="2m",
        metavar="DURATION",
        help="for one query, waiting included (default 2m)",
    )
    parser.add_argument(
        "--query-concurrency", type=_count, default=4, metavar="N", help="queries evaluated at once (default 4)"
    )
    parser.add_argument(
        "--query-max-samples",
        type=_count,
        default=50_000_000,
        metavar="N",
        help="values one query may hold at a time (default 50000000)",
    )
    parser.add_argument(
        "--query-max-answer", type=_size, default="256MB", metavar="SIZE", help="of one answer (default 256MB)"
    )
    _add_rules(parser.add_argument_group("rules (docs/reference/rules.md)"))
    _add_engine(parser.add_argument_group("an engine elsewhere keeps the samples (docs/howto/scale.md)"))
    return parser


def _add_rules(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rules",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="rule files as Prometheus has them, or patterns such as 'rules/*.yml'; read again when they change",
    )
    group.add_argument(
        "--alertmanager",
        nargs="+",
        action="extend",
        default=[],
        metavar="URL",
        help="an Alertmanager that is told of alerts; each of several is told",
    )
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="hub.toml: Alertmanagers with passwords, webhooks (JSON, DingTalk, WeCom, Feishu, Slack)",
    )
    for name, default, what in (
        ("interval", "1m", "how often groups are evaluated that do not say it"),
        ("query-offset", "0s", "how far back groups look that do not say it"),
        ("resend-delay", "1m", "between two messages about an alert that fires"),
        ("outage-tolerance", "1h", "alerts' states older than that are not taken up after a restart"),
        ("grace-period", "10m", "alerts with a longer 'for' do not fire sooner than that after a restart"),
    ):
        group.add_argument(
            f"--rules-{name}",
            type=_checked(parse_prometheus, 0.001 if name in ("interval", "resend-delay") else 0),
            default=default,
            metavar="DURATION",
            help=f"{what} (default {default})",
        )
    group.add_argument(
        "--rules-concurrency", type=_count, default=2, metavar="N", help="groups evaluated at once (default 2)"
    )
    group.add_argument(
        "--external-label",
        action="append",
        type=_label,
        default=[],
        metavar="NAME=VALUE",
        help="a label of all alerts that are sent, and $externalLabels in templates; may come again",
    )
    group.add_argument(
        "--external-url", default="", metavar="URL", help="where people reach this hub: in links of alerts"
    )


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, such as cluster=paris")
    return name, value


def _rules(given: argparse.Namespace) -> RuleOptions | None:
    if not given.rules:
        if given.alertmanager or given.config:
            raise UsageError("--alertmanager and --config say who is told of alerts: give --rules FILE too")
        return None
    from kpwatch.rules.config import alertmanager_address, read_config
    from kpwatch.rules.options import Notifying, RuleOptions

    told = read_config(given.config) if given.config else Notifying()
    named = {address.url: address for address in (*map(alertmanager_address, given.alertmanager), *told.alertmanagers)}
    told = Notifying(tuple(named.values()), told.webhooks)

    return RuleOptions(
        files=tuple(given.rules),
        interval_seconds=given.rules_interval,
        query_offset_seconds=given.rules_query_offset,
        concurrency=given.rules_concurrency,
        timeout_seconds=given.query_timeout,
        resend_seconds=given.rules_resend_delay,
        outage_seconds=given.rules_outage_tolerance,
        grace_seconds=given.rules_grace_period,
        notifying=told,
        external_labels=tuple(sorted(dict(given.external_label).items())),
        external_url=given.external_url.rstrip("/"),
    )


def _add_engine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--engine", default="", metavar="URL", help="a Prometheus-compatible server: queries go to it")
    group.add_argument("--engine-write", default="", metavar="URL", help="its Remote Write URL: writes go to it")
    group.add_argument(
        "--engine-timeout",
        type=_checked(parse_prometheus, 0.001),
        default="2m",
        metavar="DURATION",
        help="for one answer (default 2m)",
    )
    group.add_argument(
        "--engine-concurrency", type=_count, default=16, metavar="N", help="queries, and writes, at once (default 16)"
    )
    group.add_argument(
        "--engine-max-answer", type=_size, default="256MB", metavar="SIZE", help="of one answer (default 256MB)"
    )
    for name, metavar, what in (
        ("basic-auth-file", "FILE", "one line user:password"),
        ("bearer-token-file", "FILE", "one line; files of secrets are read again when they change"),
        ("tls-ca", "FILE", "who may sign its certificate, PEM (default the system's)"),
        ("tls-cert", "FILE", "a certificate to show it, PEM"),
        ("tls-key", "FILE", "its key, PEM"),
    ):
        group.add_argument(f"--engine-{name}", type=Path, metavar=metavar, help=what)
    group.add_argument("--engine-tls-skip-verify", action="store_true", help="take any certificate")
    group.add_argument("--engine-tenant", default="", metavar="ID", help="sent as X-Scope-OrgID")
    group.add_argument(
        "--engine-header", action="append", default=[], metavar="NAME: VALUE", help="a header to send; may come again"
    )
