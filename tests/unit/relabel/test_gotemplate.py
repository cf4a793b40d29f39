"""Templates print what Go's text/template prints; what is not supported is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.gotemplate import Template
from kpwatch.relabel.govalues import Fields, Record

SERVICE = Record(
    Node="n1",
    Address="10.0.0.1",
    ServiceAddress="",
    ServicePort=8080,
    ServiceTags=["a", "b"],
    ServiceMeta=Fields(path="m", empty=""),
    Up=True,
    Nothing=None,
    Weight=1.5,
)

RENDERED = [
    ("plain", "plain"),
    ("", ""),
    ("}} {", "}} {"),
    ("{{.Node}}:{{ .ServicePort }}", "n1:8080"),
    ("{{.ServiceMeta.path}}/{{$.ServiceMeta.path}}", "m/m"),
    ("{{.ServiceMeta.none}}", "<no value>"),
    ("{{.Up}} {{.Weight}} {{.ServiceTags}} {{.ServiceMeta}}", "true 1.5 [a b] map[empty: path:m]"),
    ("{{.Nothing}}", "<no value>"),
    ('{{"a\\"\\n"}}{{`b\\n`}}{{"}}"}}{{5}}{{-5}}{{1.5}}{{false}}', 'a"\nb\\n}}5-51.5false'),
    ("a {{- .Node -}} b", "an1b"),
    ("a {{- /* no \n thing */ -}} b{{/* x */}}", "ab"),
    ("a {{ .Node -}}\n\t b", "a n1b"),
    ("{{if .Up}}y{{else}}n{{end}}", "y"),
    ("{{if .ServiceAddress}}y{{end}}", ""),
    ("{{if .ServiceMeta.none}}y{{else}}n{{end}}", "n"),
    ("{{if .ServiceAddress}}a{{else if .Up}}b{{else}}c{{end}}", "b"),
    ('{{if .ServiceAddress}}a{{else  if eq .Node "x"}}b{{else}}c{{end}}', "c"),
    ('{{if ne .ServiceAddress ""}}{{.ServiceAddress}}{{else}}{{.Address}}{{end}}:{{.ServicePort}}', "10.0.0.1:8080"),
    ("{{with .ServiceMeta.path}}{{.}}{{else}}metrics{{end}}", "m"),
    ("{{with .ServiceMeta.empty}}x{{else}}y{{end}}", "y"),
    ("{{with .ServiceMeta}}{{.path}}{{$.Node}}{{end}}{{.Node}}", "mn1n1"),
    ("{{with .ServiceAddress}}x{{else with .Node}}{{.}}{{end}}", "n1"),
    ("{{range .ServiceTags}}<{{.}}>{{end}}", "<a><b>"),
    ("{{range .ServiceMeta}}<{{.}}>{{end}}", "<><m>"),
    ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
    ("{{range .ServiceTags}}{{if eq . `a`}}{{.}}{{end}}{{end}}", "a"),
    ('{{join .ServiceTags ","}}{{.ServiceTags | len}}{{index .ServiceTags 1}}{{index .ServiceMeta "path"}}', "a,b2bm"),
    ("{{eq .Node `x` `n1`}} {{ne 1 2}} {{lt 1 2}}", "true true true"),
    ("{{le 2 2}} {{gt .ServicePort 80}} {{ge 1 2}}", "true true false"),
    ("{{eq .ServiceMeta.none ``}}{{not .Up}}{{and .Up .Node}}{{or .ServiceAddress .Address}}", "falsefalsen110.0.0.1"),
    ('{{printf "%s-%d%%-%v" .Node .ServicePort .Up}}{{print .Node 1 2 "x"}}{{print}}', "n1-8080%-truen11 2x"),
    ("{{(index .ServiceTags 0) | printf `%s%s` (print .Node)}}", "n1a"),
    ("{{if and (eq .Node `n1`) (gt .ServicePort 1)}}y{{end}}", "y"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "text"), RENDERED)
def test_rendered(template: str, text: str) -> None:
    """From one service of a Consul catalog."""
    assert Template(template).render(SERVICE) == text


REFUSED = [
    ("{{.Node", "{{ without }}"),
    ("{{.Node}} {{", "{{ without }}"),
    ("{{}}", "expected one value"),
    ("{{if .Up}}x", "{{if}} without {{end}}"),
    ("{{if .Up}}x{{else}}y{{else}}z{{end}}", "{{if}} without {{end}}"),
    ("{{if}}x{{end}}", "expected one value"),
    ("x{{end}}", "{{end}} without a beginning"),
    ("{{else}}", "{{else}} without a beginning"),
    ("{{range .A}}{{else range .B}}{{end}}", "{{else range .B}} is not supported"),
    ("{{$x := .Node}}", "'$x := .Node' is not supported"),
    ("{{define `x`}}{{end}}", "there is no function 'define'"),
    ("{{.Node | upper}}", "there is no function 'upper'; there are eq, ne"),
    ("{{Host}}", "there is no function 'Host'"),
    ("{{.Node .Up}}", "expected one value or a function"),
    ("{{(.Node}}", "a parenthesis is not closed"),
    ("{{.Node)}}", "a parenthesis closes that is not open"),
    ("{{not}}", "not takes 1 values, not 0"),
    ("{{eq 1}}", "eq takes 2 to 16 values, not 1"),
    ("{{'x'}}", "\"'x'\" is not supported"),
    ("{{" + "(" * 51 + "1" + ")" * 51 + "}}", "more than 50 parentheses"),
    ("{{if 1}}" * 51 + "{{end}}" * 51, "more than 50 blocks"),
    ('{{"\\q"}}', "the escape \\q is not supported"),
]


@pytest.mark.parametrize(("template", "reason"), REFUSED)
def test_refused(template: str, reason: str) -> None:
    """When it is made, with the template and the reason."""
    with pytest.raises(ConfigError) as caught:
        Template(template)
    assert str(caught.value).startswith(f"template {template!r}: ")
    assert reason in str(caught.value)


FAILING = [
    ("{{.Host}}", "there is no field .Host; the fields are .Node .Address"),
    ("{{.Node.x}}", ".Node.x: 'n1' has no field .x"),
    ("{{eq .Node 1}}", "'n1' and '1' cannot be compared"),
    ("{{lt .Up 1}}", "'true' and '1' cannot be compared"),
    ("{{index .ServiceTags 5}}", "index: '[a b]' has nothing at '5'"),
    ("{{len 5}}", "len: '5' has no length"),
    ("{{range 5}}{{end}}", "range: '5' is no list"),
    ("{{join .Node `,`}}", "join: 'n1' is no list"),
    ("{{printf `%x` 5}}", "printf: %x"),
    ("{{printf `%s`}}", "printf: %s"),
]


@pytest.mark.parametrize(("template", "reason"), FAILING)
def test_what_the_data_does_not_allow(template: str, reason: str) -> None:
    """When it is rendered, with the template and the reason."""
    made = Template(template)
    with pytest.raises(ConfigError) as caught:
        made.render(SERVICE)
    assert str(caught.value).startswith(f"template {template!r}: ")
    assert reason in str(caught.value)


@given(st.text('{}.-|()$ "`aNode5ifrangewithelsend/*', max_size=24).map(lambda text: "{{if .Up}}" + text + "{{end}}"))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    """No other exception."""
    said = ""
    try:
        Template(text).render(SERVICE)
    except ConfigError as error:
        said = str(error)
    assert not said or said.startswith(f"template {text!r}: ")
