"""What is wrong with a config, said with the keys that the user wrote and with the fix.

Pydantic names the options of unions in its locations and leaves out the names of a method's parts; this goes the way
from the config's root again, through what was written, and knows the keys that would have been right there.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from lethe.methods.contract import Objective, RetainTerm, Scale, Score, Weighting
from lethe.methods.forms import FORMS, Form
from lethe.methods.part import Part, is_written_out, suggest
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.weightings import SCALES, SCORES, WEIGHTINGS, Scored

# Keys of earlier versions -> what stands in their place.
RENAMED = {
    "disturb": "renamed to `embedding_noise`",
    "evaluation": "now two sections, `measure` (precision, max_new_tokens, limits, every, suite, during) and "
    "`evaluate` (min_k, ou_compat); tokens_per_batch stands beside them",
}

REGISTRIES: dict[type[Part], Mapping[str, type[Part]]] = {
    Weighting: WEIGHTINGS,
    Score: SCORES,
    Scale: SCALES,
    Objective: OBJECTIVES,
    RetainTerm: RETAIN_TERMS,
    Form: FORMS,
}


def explain(error: ValidationError, model: type[BaseModel], raw: Any, at: str | None = None) -> str:
    """One line per problem of `raw`, which is what the user wrote at the key `at` (None: the whole config)."""
    lines = []
    for problem in error.errors():
        keys, known, options = _written(model, raw, problem["loc"])
        if problem["type"] == "extra_forbidden" or (problem["loc"] and problem["loc"][-1] == "[key]" and known):
            text = f"unknown key{suggest(keys[-1], known)}; remove it or correct its name"
            if keys[-1] in RENAMED:
                text = RENAMED[keys[-1]]
            elif known:
                text += f" (known: {', '.join(known)})"
        elif problem["type"] == "missing":
            text = "missing; add it"
        elif problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
            keys.append(problem["ctx"]["discriminator"].strip("'"))
            tags = [tag for option in options for tag in _tags(option)]
            tag = problem["ctx"].get("tag")
            text = "missing; add it" if tag is None else f"'{tag}' is unknown{suggest(tag, tags)}; correct it"
            text += f" (known: {', '.join(tags)})"
        else:
            text = problem["msg"].removeprefix("Value error, ")
            if not isinstance(problem["input"], dict | BaseModel):
                text += f" (found {problem['input']!r})"
        key = ".".join(keys if at is None else [at, *keys])
        lines += (f"{key}: {text}" if key else text).splitlines()
    return "\n".join(f"  {line.strip()}" for line in lines)


def _written(model: type[BaseModel], raw: Any, location: tuple) -> tuple[list[str], list[str], list[Any]]:
    """The keys that the user wrote to get to a place, those known beside the last one, and what may stand there.

    Pydantic's locations name the option of a union (`scratch`), which nobody wrote at that place, and leave out the
    name of a method's part (`entropy`), which somebody did.
    """
    keys: list[str] = []
    known: list[str] = []
    options: list[Any] = [model]
    for place in location:
        if len(options) > 1:
            options = [option for option in options if place in _tags(option)]
            continue
        if place == "[key]":  # the key itself is wrong, not what stands there
            continue
        kind = options[0] if options else Any
        if kind is Weighting and is_written_out(raw, Scored):
            kind = Scored
        elif isinstance(kind, type) and kind in REGISTRIES:
            name = raw if isinstance(raw, str) else next(iter(raw))
            keys.append(name)
            kind, raw = REGISTRIES[kind][name], _at(raw, name)
        keys.append(str(place))
        raw = _at(raw, place)
        inner, known = [], []
        if get_origin(kind) is dict:
            names, values = get_args(kind)
            inner, known = [values], list(get_args(names)) if get_origin(names) is Literal else []
        elif get_origin(kind) is list:
            inner = list(get_args(kind))
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            known = list(kind.model_fields)
            inner = [kind.model_fields[place].annotation] if place in kind.model_fields else []
        options = [option for annotation in inner for option in _options(annotation)]
    return keys, known, options


def _options(annotation: Any) -> list[Any]:
    """What a type allows, None aside: itself, or the options of a union."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [] if annotation is NoneType else [annotation]


def _tags(option: Any) -> tuple[str, ...]:
    """The value by which a section is chosen in a union: `scratch`."""
    if not (isinstance(option, type) and issubclass(option, BaseModel)):
        return ()
    literals = [get_args(f.annotation) for f in option.model_fields.values() if get_origin(f.annotation) is Literal]
    return next((values for values in literals if len(values) == 1), ())


def _at(raw: Any, place: str | int) -> Any:
    """What the user wrote at a key or index; None if it is not there."""
    if isinstance(raw, Mapping):
        return raw.get(place)
    return raw[place] if isinstance(raw, list) and isinstance(place, int) and place < len(raw) else None
