"""Templates in labels and annotations: what Prometheus makes of them."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import QueryFailed
from kpwatch.rules.expand import Surroundings, expanded
from kpwatch.rules.go_execute import MAX_CHARACTERS, MAX_STEPS

LABELS = (("instance", "node-a.example.com:10249"), ("job", "kube-proxy"))
AROUND = Surroundings((("cluster", "c1"),), "http://hub:19000/p")
UP = [((("__name__", "up"), ("instance", "b")), 1.0), ((("__name__", "up"), ("instance", "a")), 2.5)]


def query(text: str) -> list[tuple[tuple[tuple[str, str], ...], float]]:
    if text == "broken":
        raise QueryFailed("it is broken")
    return UP if text == "up" else []


def made(template: str, value: float = 12345.678) -> str:
    result = expanded(template, LABELS, value, query, AROUND)
    assert bool(result.error) == result.text.startswith("<error expanding template: ")
    return result.text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ $labels.job }} {{ .Labels.job }} {{ $value }}", "kube-proxy kube-proxy 12345.678"),
        ("{{ $labels.nope }}|{{ $externalLabels.cluster }}|{{ .ExternalLabels.cluster }}", "|c1|c1"),
        ("{{ $labels }}", "map[instance:node-a.example.com:10249 job:kube-proxy]"),
        ("{{ externalURL }} {{ $externalURL }} {{ pathPrefix }}", "http://hub:19000/p http://hub:19000/p /p"),
        ("{{ 1000000.0 }} {{ 0.00001 }} {{ 1e3 }} {{ 0x1f }} {{ 'a' }} {{ true }}", "1e+06 1e-05 1000 31 97 true"),
        ('{{ printf "%.2f %5.1f|%-6s|%06.2f|%q|%d|%x|%%|%v" $value 1.25 "ab" 2.5 "x" 7 255 $value }}',
         '12345.68   1.2|ab    |002.50|"x"|7|ff|%|12345.678'),
        ('{{ printf "%d %s %!" $value }}', "%!d(float64=12345.678) %!s(MISSING) %!!(MISSING)"),
        ('{{ printf "%s" "a" "b" }}', "a%!(EXTRA string=b)"),
        ('{{ printf "%c %U %3c" 65 65 66 }}', "A U+0041   B"),
        ('{{ print 1 2 "a" "b" 3 }}', "1 2a b3".replace("a b", "ab")),
        ("{{ $value | humanize }} {{ humanize 0.0012 }} {{ humanize 0 }}", "12.35k 1.2m 0"),
        ("{{ humanize1024 1048576 }} {{ humanize1024 1 }}", "1Mi 1"),
        ("{{ humanizeDuration 93784 }} {{ humanizeDuration 0.0015 }} {{ humanizeDuration -61.5 }}",
         "1d 2h 3m 4s 1.5ms -1m 1s"),
        ("{{ humanizePercentage 0.123456 }} {{ humanizeTimestamp 1435065584.128 }}",
         "12.35% 2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ "1.5" | humanize }} {{ toTime 0 }} {{ parseDuration "1h30m" }}', "1.5 1970-01-01 00:00:00 +0000 UTC 5400"),
        ('{{ range query "up" }}{{ .Labels.instance }}={{ .Value }};{{ end }}', "b=1;a=2.5;"),
        ('{{ range query "none" }}x{{ else }}nothing{{ end }}', "nothing"),
        ('{{ range $i, $one := query "up" }}{{ $i }}{{ $one.Value }} {{ end }}', "01 12.5 "),
        ('{{ range query "up" | sortByLabel "instance" }}{{ label "instance" . }}{{ end }}', "ab"),
        ('{{ with query "up" }}{{ . | first | value | humanizePercentage }}{{ end }}', "100%"),
        ('{{ (query "up" | first).Labels.instance }} {{ query "up" | first | strvalue }}', "b "),
        ("{{ if gt $value 5.0 }}big{{ else }}small{{ end }}", "big"),
        ('{{ if eq $labels.job "x" }}x{{ else if ne $labels.job "kube-proxy" }}y{{ else }}z{{ end }}', "z"),
        ('{{ if and (eq 1 1) (or false (not false)) (lt "a" "b") (le 1.5 1.5) (ge 2 1) }}ok{{ end }}', "ok"),
        ('{{ if or true (query "broken") }}short{{ end }}{{ and "" (query "broken") }}', "short"),
        ('{{ define "x" }}[{{ .arg0 }} {{ .arg1 }}]{{ end }}{{ template "x" (args 1 "b") }}', "[1 b]"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}", "32"),
        ('{{ reReplaceAll "(.*)\\\\.example.*" "$1!" $labels.instance }}', "node-a!"),
        ('{{ match "^node-.*9$" $labels.instance }} {{ match "^x" "y" }}', "true false"),
        ('{{ stripPort $labels.instance }} {{ stripPort "[::1]:80" }} {{ stripPort "a" }}', "node-a.example.com ::1 a"),
        ('{{ stripDomain $labels.instance }} {{ stripDomain "10.0.0.1:80" }}', "node-a:10249 10.0.0.1:80"),
        ('{{ "hello big world" | title }} {{ toUpper "a" }} {{ toLower "B" }}', "Hello Big World A b"),
        ('{{ safeHtml "<b>" }} {{ html "<b>" }} {{ urlquery "a b" }} {{ len "äb" }}', "<b> &lt;b&gt; a+b 3"),
        ('{{ index $labels "job" }} {{ slice "abcd" 1 3 }}', "kube-proxy bc"),
        ('{{ graphLink "up == 0" }}', "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"),
        ('a {{- " b " -}} c{{/* nothing */}}\n{{- /* trimmed */ -}}\n d', "a b cd"),
        ('{{ range query "up" }}{{ if eq .Value 1.0 }}{{ continue }}{{ end }}{{ .Value }}{{ break }}{{ end }}', "2.5"),
    ],
)  # fmt: skip
def test_what_it_makes(template: str, text: str) -> None:
    """The text that Prometheus makes of the same."""
    assert made(template) == text


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ nope }}", "function 'nope' not defined"),
        ("{{ $nope }}", "undefined variable '$nope'"),
        ("{{ if true }}", "{{if}} without {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ .Labels.job", "unclosed action"),
        ("{{ $labels.job $value }}", "can't give argument to non-function $labels.job"),
        ("{{ gt $value 5 }}", "incompatible types for comparison"),
        ("{{ .Labels.job.x }}", "can't evaluate field x in type string"),
        ("{{ .Nope }}", "can't evaluate field Nope"),
        ('{{ first (query "none") }}', "first() called on vector with no elements"),
        ('{{ query "broken" }}', "it is broken"),
        ('{{ match "(" "a" }}', "error parsing regexp"),
        ('{{ template "x" }}', 'template "x" not defined'),
        ('{{ humanize "x" }}', "'x' is no number"),
        ("{{ humanize 1 2 }}", "wrong number of args for humanize"),
        ('{{ printf "%9999d" 1 }}', "wider than"),
        ('{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}', "maximum template depth"),
        ("(" * 200 + "{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "parentheses in parentheses"),
        ("{{if true}}" * 200 + "{{end}}" * 200, "blocks in blocks"),
        ("{{ toTime 1e300 }}", "cannot be represented as a time"),
        ("{{ humanizeTimestamp 1e300 }}", "cannot be represented as a time"),
        ("{{ humanizeDuration $labels }}", "can't convert map[string]string to float"),
    ],
)
def test_what_fails(template: str, reason: str) -> None:
    """A template that fails is a text that says why."""
    assert reason in made(template)


def test_steps_and_output_are_bounded() -> None:
    """A template that would run for long, or make a long text, fails."""
    loop = '{{ range query "up" }}' * 20 + "x" + "{{ end }}" * 20
    assert f"more than {MAX_STEPS} steps" in made(loop)
    double = '{{ $x := "0123456789" }}' + "{{ $x = print $x $x $x }}" * 20
    assert f"longer than {MAX_CHARACTERS} characters" in made(double)
