"""`kpwatch explain`: every row can be read on every terminal, in both languages."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from kpwatch.__main__ import main
from kpwatch.base.errors import KpwatchError
from kpwatch.base.terminal import Paint, width_of
from kpwatch.cli.explain import document, write
from kpwatch.cli.explaining import Page, checks_of
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.lookup import find_metric
from kpwatch.knowledge.rows import LANGUAGES

LAST = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
NAMES = [row.name for row in knowledge().metrics] + [row.id for row in knowledge().checks]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def page_of(name: str, columns: int = 100, language: str = "en", *, colours: bool = False) -> list[str]:
    page = Page(columns, language, Paint(colours))
    write(page, knowledge(), name)
    return page.lines


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kpwatch", "explain", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | environment,
    )


@pytest.mark.parametrize("columns", [24, 40, 80, 200])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_row_fits_every_terminal(columns: int, language: str) -> None:
    """No line is wider than the terminal, but for what is to be pasted: a command, a word of PromQL, a URL."""
    for name in [*NAMES, ""]:
        for line in page_of(name, columns, language):
            is_pasted = re.fullmatch(r" *(?:- )?(?:[^ ]+|[^ `]*`[^`]+`[^ `]*)", line)
            assert width_of(line) <= columns or is_pasted, (name, line)
            assert line == line.rstrip(), (name, line)


def test_nothing_of_a_row_is_left_out() -> None:
    """Every text of every metric stands on its page, whatever the lines."""
    for language in LANGUAGES:
        for row in knowledge().metrics:
            shown = "".join("".join(page_of(row.name, 60, language)).split())
            texts = [row.title, row.means, row.absent, row.bad, row.do, *(change.said for change in row.changed)]
            words = [text.in_language(language) for text in texts if text] + list(row.see)
            words += [label.name for label in row.labels]
            assert [text for text in words if "".join(text.split()) not in shown] == [], row.name


def test_a_metrics_page() -> None:
    """Name, facts, then what it means, what is bad, what to do, what to read with it."""
    lines = page_of(LAST)
    assert lines[:2] == [LAST, "Last successful rule sync"]
    assert "  type      gauge, Unix time in seconds" in lines
    assert "  labels    ip_family (from 1.33)" in lines
    assert "  modes     iptables, ipvs, nftables, kernelspace" in lines
    headings = [line for line in lines[2:] if line and not line.startswith(" ")]
    assert headings[:6] == [
        "What it means",
        "Where the series is absent",
        "What is bad",
        "What to do",
        "What releases changed",
        "Read it with",
    ]
    assert any(line.startswith("  kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds  ") for line in lines)


def test_on_a_narrow_terminal_facts_stand_under_their_names() -> None:
    """Four columns in."""
    lines = page_of(LAST, 40, "zh")
    assert lines[lines.index("  标签") + 1] == "    ip_family（1.33 起）"


@pytest.mark.parametrize(
    ("suffix", "words"), [("_bucket", "at most le"), ("_sum", "the sum"), ("_count", "how many observations")]
)
def test_a_histograms_series_lead_to_it(suffix: str, words: str) -> None:
    """And the page says which one was asked for."""
    name = "kubeproxy_sync_proxy_rules_duration_seconds"
    lines = page_of(name + suffix, 200)
    assert lines[0] == name
    told = " ".join(" ".join(lines).split())
    assert f"{name}{suffix} is one of its series: " in told
    assert words in told


def test_names_without_a_row_are_explained_by_how_they_begin() -> None:
    """What might be a slip is asked back."""
    assert page_of("go_memstats_heap_alloc_bytes")[:2] == [
        "go_memstats_heap_alloc_bytes",
        "go_memstats_*: Go's memory statistics",
    ]
    assert any("go_goroutines" in line for line in page_of("go_goroutine"))


def test_a_checks_page() -> None:
    """Its summary, its severity, and PromQL that needs no word of ours."""
    text = "\n".join(page_of("sync-failing"))
    assert text.startswith("sync-failing\nRule syncs keep failing")
    assert "severity  critical" in text
    assert "critical, for 1m: count by (ident, instance)" in text
    assert "$" not in text[text.index("When it fires") :]


def test_a_metrics_page_names_the_checks_that_use_it() -> None:
    """By name, by a histogram's series, by a pattern of names."""
    for metric, check in [
        ("kubeproxy_sync_proxy_rules_endpoint_changes_pending", "backlog-stuck"),
        ("kubeproxy_sync_proxy_rules_duration_seconds", "sync-slow"),
        ("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "sync-failing"),
    ]:
        found = find_metric(knowledge(), metric)
        assert check in [row.id for row in checks_of(knowledge(), found.metric)]
        assert any(line.startswith(f"  {check}  ") for line in page_of(metric))


def test_a_checks_page_says_where_its_threshold_and_incidents_come_from() -> None:
    """The incidents as links."""
    text = page_of("sync-failing", 200)
    assert any("two sync periods" in line for line in text[text.index("Threshold") :])
    assert "  - https://github.com/kubernetes/kubernetes/issues/105742" in text


def test_the_list_has_every_name() -> None:
    """By group, with a title."""
    for language in LANGUAGES:
        text = "\n".join(page_of("", 160, language))
        assert [name for name in NAMES if f"  {name} " not in text] == []
    assert page_of("")[0] == "Rule syncs"
    assert page_of("", language="zh")[0] == "规则同步"


def test_languages() -> None:
    """--lang, else the locale's."""
    assert CHINESE.search(run(LAST, "--lang", "zh").stdout)
    assert CHINESE.search(run(LAST, LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="utf-8").stdout)
    assert not CHINESE.search(run(LAST, LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="utf-8").stderr)
    assert not CHINESE.search(run(LAST).stdout)
    assert not CHINESE.search(run(LAST, "--lang", "en", LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="utf-8").stdout)


def test_a_terminal_without_chinese_is_no_error() -> None:
    """It gets question marks."""
    ran = run(LAST, "--lang", "zh", PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "??" in ran.stdout


def test_json() -> None:
    """The row as the hub has it, in both languages; a check with PromQL as a cluster evaluates it."""
    row = json.loads(run(f"{LAST}", "--json", "--lang", "zh").stdout)
    assert row == json.loads(json.dumps(document(knowledge(), LAST)))
    assert (row["name"], row["type"], row["labels"]) == (LAST, "gauge", ["ip_family"])
    assert row["label_releases"] == {"ip_family": "1.33+"}
    assert row["meaning"].keys() == row["bad"].keys() == row["do"].keys() == {"zh", "en"}
    check = document(knowledge(), "sync-failing")
    assert check["levels"][0]["severity"] == "critical"
    assert "$" not in json.dumps([check["levels"], check["evidence"]])
    assert document(knowledge(), "go_sched_gomaxprocs_threads")["prefix"] == "go_"
    everything = document(knowledge(), "")
    assert [row["name"] for row in everything["metrics"]] + [row["id"] for row in everything["checks"]] == NAMES


def test_an_unknown_name_has_nearest_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """And exit code 1; nothing on stdout."""
    assert main(["explain", "iptables_totl"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("kpwatch: no metric or check is called 'iptables_totl'; the nearest:\n")
    assert "\n  kubeproxy_sync_proxy_rules_iptables_total\n" in error
    assert main(["explain", "sync-hang", "--json"]) == 1
    assert "  sync-hung" in capsys.readouterr().err
    with pytest.raises(KpwatchError, match="`kpwatch explain` lists all"):
        page_of("qqqqqqqqqqq")


def test_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """As every verb."""
    with pytest.raises(SystemExit) as ended:
        main(["explain", "up", "--lang", "fr"])
    assert ended.value.code == 2
    assert "invalid choice: 'fr'" in capsys.readouterr().err


def on_a_terminal(**environment: str) -> str:
    """What is written on a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    ran = subprocess.Popen(
        [sys.executable, "-m", "kpwatch", "explain", "up"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "60"} | environment,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 1 << 16)
        except OSError:
            break
        if not some:
            break
        written += some
    os.close(ours)
    assert ran.wait(60) == 0
    return written.decode()


def test_colours_on_a_terminal_only() -> None:
    """And not with NO_COLOR; a pipe gets plain text."""
    assert "\x1b[1mup\x1b[0m" in on_a_terminal()
    plain = on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in plain
    assert plain.splitlines()[0] == "up"
    assert "\x1b" not in run("up").stdout


def test_it_loads_little() -> None:
    """No numpy, no store, no socket, no parser: it answers at once."""
    code = (
        "import sys; from kpwatch.__main__ import main; main(['explain', 'up']); "
        "print('\\n'.join(sorted(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stderr.split())
    assert loaded.isdisjoint({"numpy", "sqlite3", "asyncio", "socket", "ssl", "uvicorn", "promql_parser", "logging"})
    rooms = {name.split(".")[1] for name in loaded if name.startswith("kpwatch.")}
    assert rooms <= {"__main__", "base", "cli", "knowledge"}
