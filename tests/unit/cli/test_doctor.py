"""`kpwatch doctor` as it is typed: targets, bundles, exit codes, wrong command lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kpwatch.cli.doctor import main
from kpwatch.doctor.bundle import write_bundle
from kpwatch.doctor.documents import Node
from tests.captured import scrape_of
from tests.edited import with_metrics
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.doctor.documents import Scrape

CODES = (
    ("1.36.3-iptables-churn", 0),
    ("1.36.3-iptables-node-missing", 1),
    ("1.36.3-iptables-restore-fail-70s", 2),
    ("1.34.9-iptables-start-apiserver-unreachable", 2),
)


def saved(folder: Path, ident: str, *scrapes: Scrape) -> str:
    write_bundle(Node(ident, scrapes), folder)
    return str(folder)


@pytest.mark.parametrize(("name", "code"), CODES)
def test_the_exit_code_says_how_bad_it_is(name: str, code: int, tmp_path: Path, shared_dir: Path) -> None:
    assert main([saved(tmp_path / "bundle", "node-a", scrape_of(shared_dir / "captures", name))]) == code


def test_a_node_that_could_not_be_judged_is_3(tmp_path: Path, shared_dir: Path) -> None:
    """Unless another is worse."""
    scrape = scrape_of(shared_dir / "captures", "1.36.3-iptables-churn")
    unknown = saved(tmp_path / "unknown", "node-a", with_metrics(scrape, b"<html>"))
    assert main([unknown]) == 3
    warned = scrape_of(shared_dir / "captures", "1.36.3-iptables-node-missing")
    assert main([unknown, saved(tmp_path / "warned", "node-b", warned)]) == 1


def test_several_bundles_of_one_name_are_several_nodes(
    tmp_path: Path, shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its own verdict."""
    names = ("1.36.3-iptables-churn", "1.36.3-iptables-restore-fail-70s", "1.20.2-iptables-sync-fail-70s")
    folders = [saved(tmp_path / name, "node-a", scrape_of(shared_dir / "captures", name)) for name in names]
    assert main(["--json", "--lang", "en", *folders]) == 2
    document = json.loads(capsys.readouterr().out)
    assert [(node["ident"], node["verdict"]) for node in document["nodes"]] == [
        ("node-a", "ok"),
        ("node-a (2)", "critical"),
        ("node-a (3)", "critical"),
    ]


WRONG = (
    # arguments, what the message names
    (["--nonsense"], "--nonsense"),
    (["--lang", "fr", "x"], "fr"),
    (["--for", "soon", "x"], "soon"),
    (["--for", "-5s", "x"], "for"),
    (["--timeout", "0", "http://127.0.0.1:1"], "timeout"),
    (["ftp://node-a:10249"], "ftp"),
    (["http://"], "host"),
    (["http://node-a:99999"], "99999"),
    (["no-such-directory"], "no-such-directory"),
    (["--prometheus", "http://hub", "http://node-a:10249"], "--prometheus"),
    (["--prometheus", "http://hub", "--save", "x"], "--prometheus"),
    (["--health", "http://a:1", "http://a:2", "http://b:2"], "--health"),
    (["--prometheus", "ftp://hub"], "ftp"),
    (["--prometheus", ""], "--prometheus"),
)


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_a_wrong_command_line_is_64_and_a_sentence(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named: what was typed."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert code == 64, said
    assert named in said.err
    assert said.out == ""


def test_a_secret_in_a_url_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("http://user:hunter2@node-a:99999", "ftp://user:hunter2@node-a", "http://node-a:x/?token=hunter2"):
        assert main([url]) == 64
        assert main(["--prometheus", url]) in (3, 64)
    assert "hunter2" not in "".join(capsys.readouterr())


def test_a_server_that_is_not_there_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing could be judged."""
    assert main(["--prometheus", "http://user:hunter2@127.0.0.1:1"]) == 3
    said = capsys.readouterr().err
    assert "127.0.0.1:1" in said
    assert "hunter2" not in said


def test_a_server_without_any_kube_proxy_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    """The document is written all the same, and a sentence says what was looked for."""
    empty = b'{"version": 1, "nodes": [], "fleet": {"findings": []}}'
    with Server(serves(lambda _: response(empty))) as hub:
        assert main(["--json", "--prometheus", hub.url("")]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["nodes"] == []
    assert 'job="kube-proxy"' in said.err


def test_saving_where_something_is_saved_is_64(tmp_path: Path, shared_dir: Path) -> None:
    """Which is said before anybody is asked."""
    folder = saved(tmp_path / "bundle", "node-a", scrape_of(shared_dir / "captures", "1.36.3-iptables-churn"))
    assert main(["--save", folder, folder]) == 64
    assert main(["--save", folder, "--for", "1d", "http://127.0.0.1:1"]) == 64
    assert main(["--save", str(tmp_path / "again"), folder]) == 0
    assert main([str(tmp_path / "again")]) == 0


def test_the_language_is_the_locales_unless_said(
    tmp_path: Path, shared_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "bundle", "node-a", scrape_of(shared_dir / "captures", "1.36.3-iptables-node-missing"))
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    main([folder])
    assert "警告" in capsys.readouterr().out
    main(["--lang", "en", folder])
    assert "警告" not in capsys.readouterr().out
