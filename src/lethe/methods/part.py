"""A named, configurable part of a method, and how the config chooses one: `name`, or `{name: {hyper-parameters}}`."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Part(BaseModel):
    """A named, configurable part of a method; unknown hyper-parameters are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def choice(registry: Mapping[str, type[Part]], kind: str, base: type[Part], written_out: type[Part] | None = None):
    """Type of a config field that holds one part of a registry; `kind` is what messages call it.

    Beside the registry's parts the field may hold one of type `written_out`, whose fields stand where a name would.
    """
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
    if written_out is not None:
        schema["anyOf"].append(written_out.model_json_schema())
    return Annotated[
        base,
        BeforeValidator(_choose(registry, kind, written_out)),
        PlainSerializer(_named(registry, written_out)),
        WithJsonSchema(schema),
    ]


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean '…'?)` if a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def is_written_out(value: object, part: type[Part] | None) -> bool:
    """Whether what stands in a config are the fields of a part, not its name."""
    return part is not None and isinstance(value, dict) and not set(value).isdisjoint(part.model_fields)


def _choose(registry: Mapping[str, type[Part]], kind: str, written_out: type[Part] | None):
    ways = f"write the {kind} as a name, or as {{name: {{hyper-parameter: value}}}}"
    if written_out is not None:
        ways += f", or as {{{', '.join(f'{field}: …' for field in written_out.model_fields)}}}"

    def choose(value: object) -> Part:
        if isinstance(value, Part):
            return value
        if isinstance(value, str):
            value = {value: {}}
        if is_written_out(value, written_out):
            return written_out.model_validate(value)
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(ways)
        ((name, parameters),) = value.items()
        if name not in registry:
            raise ValueError(f"unknown {kind} '{name}'{suggest(str(name), registry)}; known: {', '.join(registry)}")
        if not isinstance(parameters, dict | None):
            raise ValueError(f"write the hyper-parameters of {kind} '{name}' as {{{name}: {{hyper-parameter: value}}}}")
        return registry[name].model_validate(parameters or {})

    return choose


def _named(registry: Mapping[str, type[Part]], written_out: type[Part] | None):
    def dump(part: Part) -> dict:
        if type(part) is written_out:
            return part.model_dump(mode="json")
        (name,) = [name for name, cls in registry.items() if type(part) is cls]
        return {name: part.model_dump(mode="json")}

    return dump
