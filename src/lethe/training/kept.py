"""What a method needs kept of the starting model, by name; the DAG is planned with this, so no model library is loaded.

Names: `retain` or `forget` for the last hidden states on those rows, `retain-layer7` for a layer's.
"""

from lethe.config import MethodConfig


def kept_for(method: MethodConfig) -> dict[str, str]:
    """What a method needs kept: `retain` and `forget` (fields of `Starting`) -> name; often nothing."""
    kept = {}
    if method.retain.reference:
        layer = method.retain.reads_layer()
        kept["retain"] = "retain" if layer is None else f"retain-layer{layer}"
    if method.objective.teacher:
        kept["forget"] = "forget"
    return kept


def layer_of(name: str) -> int | None:
    """Layer in the name of what is kept; None for the last hidden states."""
    _, _, layer = name.partition("-layer")
    return int(layer) if layer else None
