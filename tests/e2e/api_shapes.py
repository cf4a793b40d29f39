"""Shapes of Prometheus 3's HTTP API, recorded in data/prometheus-3-api.json, and whether a document has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_RECORDED = json.loads((Path(__file__).parent / "data" / "prometheus-3-api.json").read_text())
PATHS: dict[str, Any] = _RECORDED["paths"]
SCHEMAS: dict[str, Any] = _RECORDED["schemas"]
_TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
}  # fmt: skip


def misfits(document: Any, schema: dict[str, Any], at: str = "", *, more: frozenset[str] = frozenset()) -> list[str]:
    """What in `document` is not as `schema` has it; `more`: keys that any object may have besides."""
    if "$ref" in schema:
        return misfits(document, SCHEMAS[schema["$ref"].rpartition("/")[2]], at, more=more)
    for choice in (schema.get("anyOf"), schema.get("oneOf")):
        if choice:
            found = [misfits(document, one, at, more=more) for one in choice]
            return [] if [] in found else min(found, key=len)
    kind = schema.get("type")
    if kind and (not isinstance(document, _TYPES[kind]) or (kind != "boolean" and isinstance(document, bool))):
        return [f"{at}: {document!r:.80} is no {kind}"]
    if "enum" in schema and document not in schema["enum"]:
        return [f"{at}: {document!r} is none of {schema['enum']}"]
    if isinstance(document, list):
        of_one = schema.get("items", {})
        found = [misfits(one, of_one, f"{at}[{place}]", more=more) for place, one in enumerate(document)]
        return [text for texts in found for text in texts]
    return _of_object(document, schema, at, more) if isinstance(document, dict) else []


def _of_object(document: dict[str, Any], schema: dict[str, Any], at: str, more: frozenset[str]) -> list[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in document]
    for name, value in document.items():
        if name in known:
            found += misfits(value, known[name], f"{at}.{name}", more=more)
        elif others is False and name not in more:
            found.append(f"{at}: {name} is more than Prometheus says")
        elif isinstance(others, dict):
            found += misfits(value, others, f"{at}.{name}", more=more)
    return found
