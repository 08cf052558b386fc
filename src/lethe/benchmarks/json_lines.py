"""JSON lines as people have them: a byte-order mark or a missing last newline is fine, damage is named.

Shared by the readers of TOFU files and of span files, so that both report bad input in the same words.
"""

import json
from pathlib import Path

from lethe.errors import InputError


def read_json_lines(path: str | Path) -> list[dict]:
    """Rows of a JSON-lines file; row i stands on line i + 1, because blank lines are allowed only at the end.

    Raises:
        InputError: naming file, line and fix, if the file is missing, empty, not UTF-8, or if a line is no
            complete JSON object.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; correct the path in the config.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); convert the file to UTF-8.") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty; fetch it again or remove it.")
    rows = []
    # split("\n") and not splitlines(): U+2028 and its kin are legal inside JSON strings.
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}, line {number}: not a complete JSON object ({error}); "
                "the file may be cut off: fetch it again or mend the line."
            ) from None
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, line {number}: expected a JSON object, found {type(row).__name__}; "
                "write one object per line (JSON lines, not one array)."
            )
        rows.append(row)
    return rows


def require_text(row: dict, column: str, where: str) -> str:
    """Value of a column that must hold text.

    Raises:
        InputError: if the column is missing, holds no string, an empty one, or one that is not valid Unicode.
    """
    if column not in row:
        raise InputError(f"{where}: column '{column}' is missing (present: {', '.join(row)}); add it.")
    return as_text(row[column], f"{where}: column '{column}'")


def as_text(value: object, what: str) -> str:
    """`value`, if it is a non-empty string; `what` begins the error otherwise."""
    if not isinstance(value, str):
        raise InputError(f"{what} holds {value!r} instead of text; put quotes around it or correct it.")
    if not value.strip():
        raise InputError(f"{what} is empty; fill it in or remove the row.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{what} is not valid Unicode ({error}); correct the escape.") from None
    return value
