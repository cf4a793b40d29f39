"""What /features tells: which parts of Prometheus' language and API the hub has, under Prometheus' names for them.

Clients ask before they use what is new. Names that Prometheus has and this table lacks are told as absent by their
absence; those it names itself are told truly, also where the answer is false.
"""

from __future__ import annotations

AGGREGATIONS = (
    "avg", "bottomk", "count", "count_values", "group", "limit_ratio", "limitk", "max", "min", "quantile", "stddev",
    "stdvar", "sum", "topk",
)  # fmt: skip
OPERATORS = (
    "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^", "and", "atan2", "or", "unless",
)  # fmt: skip
_NATIVE = (
    "histogram_avg", "histogram_count", "histogram_quantiles", "histogram_stddev", "histogram_stdvar", "histogram_sum",
)  # fmt: skip
_EXPERIMENTAL = ("end", "info", "integral", "max_of", "min_of", "range", "start", "start_timestamp", "step")


def features_document(*, has_admin: bool, has_rules: bool) -> dict[str, dict[str, bool]]:
    """Category -> feature -> is it there?"""
    from kpwatch.promql.functions import FUNCTIONS  # noqa: PLC0415 - numpy is loaded when the first query needs it

    return {
        "api": {
            "admin": has_admin,
            "exclude_alerts": has_rules,
            "label_values_match": True,
            "lifecycle": True,
            "openapi_3.1": False,
            "otlp_write_receiver": False,
            "query_cost": False,
            "query_stats": True,
            "query_warnings": True,
            "remote_write_receiver": True,
            "search": False,
            "time_range_labels": True,
            "time_range_series": True,
        },
        "prometheus": {"agent_mode": False, "auto_reload_config": has_rules, "server_mode": True},
        "promql": {
            "anchored": True,
            "at_modifier": True,
            "bool": True,
            "by": True,
            "delayed_name_removal": True,
            "duration_expr": True,
            "fill": False,
            "fill_left": False,
            "fill_right": False,
            "group_left": True,
            "group_right": True,
            "ignoring": True,
            "negative_offset": True,
            "offset": True,
            "on": True,
            "per_query_lookback_delta": True,
            "per_step_stats": False,
            "smoothed": True,
            "subqueries": True,
            "type_and_unit_labels": False,
            "unquoted_utf8_names": False,
            "without": True,
        },
        "promql_functions": dict.fromkeys((*_NATIVE, *_EXPERIMENTAL), False) | dict.fromkeys(sorted(FUNCTIONS), True),
        "promql_operators": dict.fromkeys(("</", ">/"), False) | dict.fromkeys((*AGGREGATIONS, *OPERATORS), True),
        "rules": {"concurrent_rule_eval": has_rules, "keep_firing_for": has_rules, "query_offset": has_rules},
        "tsdb": {"exemplar_storage": False, "native_histograms": False},
    }
