"""A named, configurable part of a method, and how the config chooses one: `name`, or `{name: {hyper-parameters}}`."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Part(BaseModel):
    """A named, configurable part of a method; unknown hyper-parameters are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def choice(registry: Mapping[str, type[Part]], kind: str, base: type[Part]):
    """Type of a config field that holds one part of a registry; `kind` is what messages call it."""
    options = {name: cls.model_json_schema() for name, cls in registry.items()}
    schema = {
        "anyOf": [
            {"enum": list(registry)},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": options,
                "additionalProperties": False,
            },
        ]
    }
    return Annotated[
        base,
        BeforeValidator(_choose(registry, kind)),
        PlainSerializer(_named(registry)),
        WithJsonSchema(schema),
    ]


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean '…'?)` if a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _choose(registry: Mapping[str, type[Part]], kind: str):
    def choose(value: object) -> Part:
        if isinstance(value, Part):
            return value
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"write the {kind} as a name, or as {{name: {{hyper-parameter: value}}}}")
        ((name, parameters),) = value.items()
        if name not in registry:
            raise ValueError(f"unknown {kind} '{name}'{suggest(str(name), registry)}; known: {', '.join(registry)}")
        if not isinstance(parameters, dict | None):
            raise ValueError(f"write the hyper-parameters of {kind} '{name}' as {{{name}: {{hyper-parameter: value}}}}")
        return registry[name].model_validate(parameters or {})

    return choose


def _named(registry: Mapping[str, type[Part]]):
    def dump(part: Part) -> dict:
        (name,) = [name for name, cls in registry.items() if type(part) is cls]
        return {name: part.model_dump(mode="json")}

    return dump
