"""Filters and relabel rules of one `[[instances]]` table -> SampleRules; each is tried, so that a bad one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.globs import compile_globs
from kpwatch.relabel.options import EnumRule, LabelLimits, SampleRules
from kpwatch.relabel.rules import RelabelRule, rule_faults

if TYPE_CHECKING:
    from kpwatch.config.checker import Section


def sample_rules(section: Section) -> SampleRules:
    """The rules of an instance; what is wrong goes to the section's report."""
    return SampleRules(
        ignore_metrics=_globs(section, "ignore_metrics"),
        ignore_label_keys=_globs(section, "ignore_label_keys"),
        name_prefix=section.text("name_prefix"),
        metrics_drop=_globs(section, "metrics_drop"),
        metrics_pass=_globs(section, "metrics_pass"),
        enums=tuple(_enum(enum) for enum in section.many("processor_enum")),
        metrics_name_prefix=section.text("metrics_name_prefix"),
        relabel=relabel_rules(section.many("relabel_configs")),
        honor_labels=section.flag("honor_labels"),
        label_limits=LabelLimits(
            labels=max(section.whole("label_limit"), 0),
            name_bytes=max(section.whole("label_name_length_limit"), 0),
            value_bytes=max(section.whole("label_value_length_limit"), 0),
        ),
    )


def _globs(section: Section, name: str) -> tuple[str, ...]:
    try:
        compile_globs(section.texts(name))
    except ConfigError as error:
        section.error(name, str(error))
        return ()
    return section.texts(name)


def _enum(section: Section) -> EnumRule:
    if not section.texts("metrics"):
        section.error("metrics", "missing: expected globs on the names of the samples that the mapping is for")
    return EnumRule(_globs(section, "metrics"), section.numbers("value_mappings"))


def relabel_rules(sections: list[Section]) -> tuple[RelabelRule, ...]:
    """Rules in their order; what is wrong goes to the sections' report."""
    return tuple(_relabel_rule(number, section) for number, section in enumerate(sections, start=1))


def _relabel_rule(number: int, section: Section) -> RelabelRule:
    rule = RelabelRule(
        source_labels=section.texts("source_labels"),
        separator=section.text("separator"),
        regex=section.text("regex"),
        modulus=section.whole("modulus"),
        target_label=section.text("target_label"),
        replacement=section.text("replacement"),
        action=section.text("action"),
    )
    for fault in rule_faults(number, rule):
        section.error("", fault)
    return rule
