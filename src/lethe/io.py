"""Reading and writing files so that a killed job never leaves half a result.

Every output of Lethe is written under a temporary name beside its target and then renamed: a file that exists
is a file that is complete.
"""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lethe.errors import InputError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Works for files and for folders. The temporary name keeps the suffix, because some writers (matplotlib,
    safetensors) look at it. What killed jobs left of the same target is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    before, after = f".{path.stem}.{socket.gethostname()}.", f".partial{path.suffix}"
    _remove_stale(path.parent, before, after)
    temporary = path.with_name(f"{before}{os.getpid()}{after}")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _remove_stale(folder: Path, before: str, after: str) -> None:
    """Remove temporaries whose process is gone; the host is in their name, for another's processes cannot be seen."""
    for left in folder.iterdir():
        pid = left.name.removeprefix(before).removesuffix(after)
        # Its own number on a file that it has not begun: an earlier process had it, as happens in containers.
        if left.name == f"{before}{pid}{after}" and pid.isdecimal() and (int(pid) == os.getpid() or _is_gone(int(pid))):
            _remove(left)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # it runs, as another user
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: str | Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write JSON; NaN and infinities are refused, because an undefined value is null with a reason."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: str | Path, table: pd.DataFrame, provenance: dict | None = None) -> None:
    """Write a data frame as Parquet; `provenance` goes into the file's schema metadata (key `lethe`)."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    if provenance is not None:
        arrow = arrow.replace_schema_metadata(
            {**(arrow.schema.metadata or {}), b"lethe": json.dumps(provenance).encode()}
        )
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def require(table: pd.DataFrame, columns: Iterable[str], what: object) -> None:
    """Raise InputError if the table lacks columns; the message names them and those that are there."""
    _require(list(table.columns), columns, what)


def _require(present: list[str], columns: Iterable[str], what: object) -> None:
    missing = [column for column in columns if column not in present]
    if missing:
        raise InputError(f"{what}: column {missing} is missing; present are {present}.")


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table; a missing column is an error that names file and column."""
    if columns is not None:
        _require(pq.read_schema(path).names, columns, path)
    return pd.read_parquet(path, columns=columns)


def read_provenance(path: str | Path) -> dict:
    """Provenance stored by `write_table`; empty if the table carries none."""
    return json.loads((pq.read_schema(path).metadata or {}).get(b"lethe", b"{}"))
