"""The tables of config/README.md, rendered from the config's own models so that they cannot fall behind them.

    python -m lethe.config.docs config/README.md

rewrites what stands between the two markers and leaves the rest of the page alone; a test catches drift.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lethe.config import Section, Study
from lethe.errors import InputError
from lethe.io import write_text
from lethe.methods.forms import FORMS
from lethe.methods.part import Part
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.weightings import SCALES, SCORES, WEIGHTINGS

BEGIN = "<!-- begin: written by `python -m lethe.config.docs config/README.md` -->"
END = "<!-- end: written by `python -m lethe.config.docs config/README.md` -->"

NAMES = {
    "`methods.<name>.weighting`": WEIGHTINGS,
    "`methods.<name>.weighting.score`": SCORES,
    "`methods.<name>.weighting.scale`": SCALES,
    "`methods.<name>.objective`": OBJECTIVES,
    "`methods.<name>.retain`": RETAIN_TERMS,
    "`forms`, and `form` of `spread` and `raw_spread`": FORMS,
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text", "null": "null"}


def updated(text: str) -> str:
    """A page with the block between its markers replaced by the current tables.

    Raises:
        InputError: if the page lacks a marker.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"config/README.md: put the lines\n{BEGIN}\n{END}\nwhere the tables belong.")
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def tables() -> str:
    """Markdown: a table for each section of the config, then one for each kind of method part."""
    schema = Study.model_json_schema()
    blocks = []
    for section, places in sections().items():
        properties = schema["properties"] if section is Study else schema["$defs"][section.__name__]["properties"]
        blocks += [f"### {_title(section, places)}", _paragraphs(section), _table(section, properties)]
    for keys, registry in NAMES.items():
        blocks += [f"### Names for {keys}", _parts(registry)]
    return "\n\n".join(blocks) + "\n"


def sections() -> dict[type[Section], list[str]]:
    """Every section of the config, outermost first, with the keys at which it may stand."""
    found: dict[type[Section], list[str]] = {Study: []}
    queue = [(Study, "")]
    while queue:
        outer, prefix = queue.pop(0)
        for name, field in outer.model_fields.items():
            for inner, below in _sections_in(field.annotation):
                place = f"{prefix}{name}{below}"
                queue.append((inner, f"{place}."))
                found.setdefault(inner, []).append(place)
    return found


def _sections_in(annotation: Any) -> Iterator[tuple[type[Section], str]]:
    """Sections that a type can hold, with what comes after the key: nothing, or `.<name>` in a map."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, ""
    elif get_origin(annotation) is dict:
        for inner, below in _sections_in(get_args(annotation)[1]):
            yield inner, f".<name>{below}"
    elif get_origin(annotation) is Annotated:
        yield from _sections_in(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _sections_in(option)


def _title(section: type[Section], places: list[str]) -> str:
    if not places:
        return "Top level"
    title = ", ".join(f"`{place}`" for place in places)
    chosen = [f"`{key}: {_choice(field)}`" for key, field in section.model_fields.items() if _choice(field)]
    return f"{title} with {chosen[0]}" if chosen else title


def _choice(field: FieldInfo) -> str | None:
    """The one value of a key that says which section this is."""
    values = get_args(field.annotation)
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _table(model: type[BaseModel], properties: Mapping[str, dict], prefix: str = "") -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        cells = (f"`{prefix}{name}`", _type(properties[name]), _default(field), _meaning(field))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "$ref" in schema:
        return "section"
    if "oneOf" in schema:
        return f"section, chosen by its `{schema['discriminator']['propertyName']}`"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        options = schema["anyOf"]
        return "name or `{name: {key: value}}`" if "enum" in options[0] else " or ".join(map(_type, options))
    if schema["type"] == "array":
        return f"{_at_least_one(schema, 'minItems')}list, each: {_type(schema['items'])}"
    if schema["type"] == "object":
        return f"{_at_least_one(schema, 'minProperties')}map of {_keys(schema)}, each: {_values(schema)}"
    if isinstance(schema["type"], list):
        return ", ".join(TYPES[kind] for kind in schema["type"])
    limits = [f"{sign} {schema[bound]:g}" for bound, sign in BOUNDS.items() if bound in schema]
    pattern = f" matching `{schema['pattern']}`" if "pattern" in schema else ""
    return " ".join([TYPES[schema["type"]] + pattern, ", ".join(limits)]).strip()


def _at_least_one(schema: Mapping[str, Any], key: str) -> str:
    return "non-empty " if schema.get(key) else ""


def _keys(schema: Mapping[str, Any]) -> str:
    return _type(schema["propertyNames"]) if "propertyNames" in schema else "names"


def _values(schema: Mapping[str, Any]) -> str:
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return _type(values[0]) if isinstance(values[0], dict) else "any value"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        usual = type(value)().model_dump(mode="json")
        own = {key: v for key, v in value.model_dump(mode="json").items() if v != usual[key]}
        return f"the section's, but `{_yaml(own)}`" if own else "the section's"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """A value on one line, as it would be written in a config."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("...\n").strip()
    return json.dumps(value, ensure_ascii=False) if "\n" in text else text


def _meaning(field: FieldInfo) -> str:
    if _choice(field):
        return "Chooses this section."
    if field.description:
        return field.description
    inner = [section for section, _ in _sections_in(field.annotation)]
    return _paragraphs(inner[0]).split("\n\n")[0] if len(inner) == 1 else ""


def _parts(registry: Mapping[str, type[Part]]) -> str:
    lines = ["| name | meaning | file |", "|---|---|---|"]
    modules = [part.__module__ for part in registry.values()]
    for name, part in registry.items():
        docs = [part.__doc__]
        if modules.count(part.__module__) == 1:  # a file of its own, which says why
            docs.insert(0, sys.modules[part.__module__].__doc__)
        lines.append(f"| `{name}` | {_summary(docs)} | `src/{part.__module__.replace('.', '/')}.py` |")
    text = "\n".join(lines)
    for name, part in registry.items():
        if part.model_fields:
            properties = part.model_json_schema()["properties"]
            text += f"\n\nHyper-parameters of `{name}`:\n\n{_table(part, properties)}"
    return text


def _summary(docs: list[str | None]) -> str:
    """First paragraphs of docstrings on one line."""
    return " ".join(" ".join(cleandoc(doc).split("\n\n")[0].split()) for doc in docs if doc).replace("|", "\\|")


def _paragraphs(section: type[BaseModel]) -> str:
    return cleandoc(section.__doc__)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [path]:
            write_text(path, updated(Path(path).read_text(encoding="utf-8")))
        case _:
            sys.exit(__doc__)
