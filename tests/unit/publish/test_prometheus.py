"""Rule files and their unit tests: Prometheus itself reads and runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.publish.alerts import all_alerts, is_ours, plain_alerts
from kpwatch.publish.catalogue import Wishes, documents_for
from kpwatch.publish.files import write_documents
from kpwatch.publish.prometheus import annotations_of, recordings
from kpwatch.publish.scenes import SCENES
from tests.parts import program

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.publish.alerts import Alert

TESTS = ("kube-proxy", "kube-proxy-slow", "kube-proxy-plain", "kube-proxy-plain-slow")


def promtool(*arguments: str | Path) -> str:
    """What it prints; it must say that all is well."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def test_prometheus_takes_the_rule_files(rules: Path) -> None:
    """Debian's promtool finds no fault in them, nor a rule that is there twice."""
    files = sorted((rules / "rules").iterdir())
    assert [file.name for file in files] == ["kube-proxy-plain.yml", "kube-proxy-records.yml", "kube-proxy.yml"]
    assert "duplicate" not in promtool("check", "rules", *files)


def in_parts(rules: Path, folder: Path) -> list[Path]:
    """The published tests again, each with no more than the rules whose alerts it is about.

    promtool evaluates all rules in each test: most of a minute and a half goes into alerts that nobody looks at there.
    """
    parts: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for file in (rules / "tests" / f"{name}.yml" for name in TESTS):
        document = yaml.load(file.read_text(), yaml.CSafeLoader)
        (of_rules,) = document.pop("rule_files")
        for test in document.pop("tests"):
            names = tuple(asked["alertname"] for asked in test["alert_rule_test"])
            interval = document["evaluation_interval"]
            part = parts.setdefault((f"{of_rules} {interval}", names), {**document, "rule_files": [], "tests": []})
            part["tests"].append(test)
    written = []
    alerts = {
        name: yaml.load((rules / name).read_text(), yaml.CSafeLoader)
        for name in ("rules/kube-proxy.yml", "rules/kube-proxy-plain.yml")
    }
    for number, ((of_rules, names), part) in enumerate(parts.items()):
        (group,) = alerts[of_rules.split()[0].removeprefix("../")]["groups"]
        kept = {"name": "g", "rules": [rule for rule in group["rules"] if rule["alert"] in names]}
        part["rule_files"] = [f"{number}-rules.yml"]
        (folder / f"{number}-rules.yml").write_text(json.dumps({"groups": [kept]}))
        written.append(folder / f"{number}.yml")
        written[-1].write_text(json.dumps(part))
    return written


@pytest.mark.slow
def test_each_alert_fires_at_the_node_that_has_the_fault_and_nowhere_else(rules: Path, tmp_path: Path) -> None:
    """With its labels and its annotations filled in; nothing fires in a healthy fleet."""
    parts = in_parts(rules, tmp_path)
    assert len(parts) > 60
    assert promtool("test", "rules", *parts).count("SUCCESS") == len(parts)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("KPWATCH_LONG"), reason="the same in a tenth of the time stands above")
@pytest.mark.parametrize("name", TESTS)
def test_the_published_tests_pass_as_they_are(rules: Path, name: str) -> None:
    """Whoever gets them runs `promtool test rules tests/*.yml`."""
    assert "SUCCESS" in promtool("test", "rules", rules / "tests" / f"{name}.yml")


def test_recording_rules_give_in_prometheus_what_they_give_here(rules: Path) -> None:
    """To the last digit, at each of four nodes."""
    file = rules / "tests" / "kube-proxy-records.yml"
    assert "SUCCESS" in promtool("test", "rules", file)
    (test,) = yaml.load(file.read_text(), yaml.CSafeLoader)["tests"]
    nodes = {asked["expr"]: len(asked["exp_samples"]) for asked in test["promql_expr_test"]}
    assert set(nodes) == {name for name, _ in recordings(panels())}
    several_codes = {name for name in nodes if name.startswith("node_code:")}
    assert {name for name, count in nodes.items() if count != 4} <= several_codes


@pytest.mark.parametrize("alerts", [all_alerts(knowledge()), plain_alerts(knowledge())], ids=["all", "plain"])
def test_each_alert_has_a_scene_in_which_it_fires(alerts: list[Alert]) -> None:
    """Each severity of each check."""
    shown = {(scene.check, severity) for scene in SCENES for severity in scene.fires}
    assert {(alert.check.id, alert.severity) for alert in alerts} - shown == set()


def test_plain_rules_ask_for_nothing_that_only_our_agent_knows() -> None:
    """Only `up` and what kube-proxy says itself; an alert is left out where nothing would be left of it."""
    kept = plain_alerts(knowledge())
    words = {word for alert in kept for word in re.findall(r"[a-z_][a-z0-9_]+", alert.expr)}
    assert {word for word in words if is_ours(word)} == set()
    gone = {alert.check.id for alert in all_alerts(knowledge())} - {alert.check.id for alert in kept}
    assert gone == {"frozen", "healthz-failing", "metrics-refused", "mode-skew", "node-draining", "node-missing"}


def test_alerts_say_what_to_do_in_two_languages() -> None:
    """Commands name the node; the runbook's URL begins where the user serves the runbooks."""
    (alert, *_) = (alert for alert in all_alerts(knowledge()) if alert.check.id == "sync-failing")
    said = annotations_of(alert, "https://runbooks.example/")
    assert said["summary"].startswith("{{ $labels.ident }}: Rule syncs keep failing")
    assert said["summary_zh"].startswith("{{ $labels.ident }}: ")
    assert "spec.nodeName={{ $labels.ident }}" in said["description"]
    assert "1. " in said["description_zh"]
    assert said["runbook_url"] == "https://runbooks.example/sync-failing.md"


def test_the_same_again_changes_no_byte(rules: Path) -> None:
    """Nor is a file written anew."""
    again = list(
        write_documents(rules.parent, documents_for("prometheus", Wishes(runbooks="https://runbooks.example")))
    )
    assert {what for what, _ in again} == {"unchanged"}
