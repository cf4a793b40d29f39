"""Pushing into a running Nightingale or Grafana: what is there already is left alone, what goes wrong is told."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.cli import publish
from tests.unit.publish.doubles import TOKEN, Double, Grafana, Nightingale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    double = Grafana()
    yield double
    double.close()


@pytest.fixture
def nightingale() -> Iterator[Nightingale]:
    double = Nightingale()
    yield double
    double.close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def push(double: Double, target: str, token: Path, *more: str) -> int:
    return publish.main(["--for", target, "--push", double.url, "--token-file", str(token), *more])


def told(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Last line: how many of each."""
    last = capsys.readouterr().out.splitlines()[-1]
    return Counter({word.split(" ", 1)[1]: int(word.split(" ", 1)[0]) for word in last.split(", ")})


def test_grafana_twice(grafana: Grafana, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder and its boards come; the same again writes nothing; a board that somebody changed is set right."""
    assert push(grafana, "grafana", token) == 0
    assert told(capsys)["created"] == 4
    assert set(grafana.boards) == {f"kube-proxy-{board}-en" for board in ("overview", "node", "slo")}
    assert grafana.boards["kube-proxy-node-en"]["meta"] == {"folderUid": "kpwatch"}
    writes = len(grafana.writes)
    assert push(grafana, "grafana", token) == 0
    assert told(capsys) == Counter(unchanged=4)
    assert len(grafana.writes) == writes
    grafana.boards["kube-proxy-slo-en"]["dashboard"]["panels"].pop()
    assert push(grafana, "grafana", token) == 0
    assert told(capsys) == Counter(updated=1, unchanged=3)
    assert grafana.boards["kube-proxy-slo-en"]["dashboard"]["version"] == 2


def test_grafana_in_chinese(grafana: Grafana, token: Path) -> None:
    """The boards of the language that is asked for."""
    assert push(grafana, "grafana", token, "--lang", "zh") == 0
    assert grafana.boards["kube-proxy-node-zh"]["dashboard"]["title"] == "kube-proxy 节点"


def test_nightingale_twice(nightingale: Nightingale, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boards, rules and dictionary come; the same again writes nothing; what somebody changed is set right."""
    assert push(nightingale, "nightingale", token) == 0
    first = told(capsys)
    assert set(+first) == {"created"}
    assert first["created"] == sum(
        map(len, (nightingale.boards, nightingale.alerts, nightingale.records, nightingale.metrics))
    )
    assert {board["ident"] for board in nightingale.boards.values()} == {
        f"kube-proxy-{board}-zh" for board in ("overview", "node", "slo")
    }
    assert json.loads(nightingale.boards[1]["configs"])["version"] == "3.0.0"
    writes = len(nightingale.writes)
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys) == Counter(unchanged=first["created"])
    assert len(nightingale.writes) == writes
    nightingale.boards[1]["configs"] = "{}"
    nightingale.boards[2]["name"] = "x"
    nightingale.alert("KubeProxySyncFailing-critical")["disabled"] = 1
    nightingale.records[1]["prom_ql"] = "1"
    nightingale.metrics[1]["unit"] = "x"
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys)["updated"] == 5
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys) == Counter(unchanged=first["created"])


def test_an_older_nightingale(nightingale: Nightingale, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that it does not have cannot differ; what differs is set right without import's `force`."""
    nightingale.lacks = ("cron_pattern", "notify_version", "notify_rule_ids", "expression_type", "translation")
    assert push(nightingale, "nightingale", token) == 0
    created = told(capsys)["created"]
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys) == Counter(unchanged=created)
    nightingale.alert("KubeProxySyncFailing-critical")["note"] = ""
    nightingale.metrics[1]["note"] = ""
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys)["updated"] == 2
    assert nightingale.alert("KubeProxySyncFailing-critical")["note"]


def test_a_dictionary_that_lags_behind(
    nightingale: Nightingale, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries that are there and not shown yet are no failure."""
    assert push(nightingale, "nightingale", token) == 0
    created = told(capsys)["created"]
    nightingale.lags = True
    assert push(nightingale, "nightingale", token) == 0
    assert told(capsys) == Counter(unchanged=created)


@pytest.mark.parametrize(
    ("language", "asks_in", "name"), [("zh", "zh_CN", "goroutine 数量"), ("en", "en_US", "Goroutines")]
)
def test_the_dictionary_is_in_the_language_that_is_asked_for(
    nightingale: Nightingale, token: Path, language: str, asks_in: str, name: str
) -> None:
    """Older versions keep one language, that of the request; newer ones both."""
    assert push(nightingale, "nightingale", token, "--lang", language) == 0
    assert nightingale.languages == {asks_in}
    entry = next(one for one in nightingale.metrics.values() if one["expression"].startswith("go_goroutines"))
    assert (entry["name"], entry["lang"]) == (name, asks_in)
    assert {one["lang"] for one in entry["translation"]} == {"zh_CN", "en_US"}


def test_a_folder_that_somebody_else_made(grafana: Grafana, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boards go into it: a second one of its name would be refused."""
    grafana.folders["theirs"] = {"uid": "theirs", "title": "kube-proxy"}
    assert push(grafana, "grafana", token) == 0
    assert told(capsys) == Counter(created=3, unchanged=1)
    assert {board["meta"]["folderUid"] for board in grafana.boards.values()} == {"theirs"}


def test_a_business_group_by_name(nightingale: Nightingale, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another than the first; one that is not there is refused, with those that are."""
    assert push(nightingale, "nightingale", token, "--group", "network") == 0
    assert {board["group_id"] for board in nightingale.boards.values()} == {2}
    assert push(nightingale, "nightingale", token, "--group", "sales") == 1
    assert "there are: Default Busi Group, network (--group)" in capsys.readouterr().out


def test_what_is_refused_is_told_and_the_rest_goes_on(
    nightingale: Nightingale, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alert rule with an error of its own, and all recording rules."""
    nightingale.bad_alerts = {"KubeProxyFrozen-critical": "some reason"}
    nightingale.refuses = {"/recording-rules": (403, {"err": "forbidden"})}
    assert push(nightingale, "nightingale", token) == 1
    out = capsys.readouterr().out
    assert "refused alert rule KubeProxyFrozen-critical: KubeProxyFrozen-critical: some reason" in out
    assert "403 forbidden; the token's user may not do this" in out
    assert nightingale.metrics
    assert nightingale.alert("KubeProxySyncFailing-critical")


def test_a_wrong_token_is_said_so_and_not_shown(
    grafana: Grafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was done; exit code 1."""
    token.write_text("another-secret")
    assert push(grafana, "grafana", token) == 1
    shown = capsys.readouterr()
    assert "401 unauthorized; is this its token? (--token-file)" in shown.out
    assert "another-secret" not in shown.out + shown.err
    assert grafana.writes == []


def test_a_server_that_goes_away_between_two_boards(
    grafana: Grafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done is told, and what was not reached."""
    grafana.leaves_at = "kube-proxy-node-en"
    assert push(grafana, "grafana", token) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["created folder kube-proxy", "created board kube-proxy-overview-en"]
    assert lines[2].startswith("not reached board kube-proxy-node-en: ")
    assert lines[3].startswith("not reached board kube-proxy-slo-en: ")
    assert lines[4] == "2 created, 0 updated, 0 unchanged, 0 refused, 2 not reached"


def test_nobody_there(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the address."""
    double = Grafana()
    double.close()
    assert push(double, "grafana", token) == 1
    assert f"{double.url} does not answer" in capsys.readouterr().out


def test_a_redirect_does_not_carry_the_token_away(
    grafana: Grafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused."""
    grafana.refuses = {"/api/folders": (307, {"message": "elsewhere"})}
    assert push(grafana, "grafana", token) == 1
    assert "refused folder kube-proxy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "grafana"], "--out DIR or --push URL"),
        (["--for", "prometheus", "--push", "http://a", "--token-file", "t"], "only Nightingale and Grafana"),
        (["--for", "grafana", "--push", "http://a"], "--token-file FILE"),
        (["--for", "grafana", "--push", "ftp://a", "--token-file", "t"], "expected http://HOST:PORT"),
    ],
)
def test_what_the_command_line_must_say(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule and the next step."""
    (tmp_path / "t").write_text("x")
    words = [str(tmp_path / "t") if word == "t" else word for word in arguments]
    with pytest.raises((SystemExit, UsageError)) as raised:
        publish.main(words)
    assert message in capsys.readouterr().err + str(raised.value)
