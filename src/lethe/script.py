"""What every workflow script does first: logging to the rule's log, tracebacks included, and thread limits."""

import logging
import sys
from pathlib import Path

from lethe.provenance import provenance


def setup(snakemake) -> None:
    """Send log records and uncaught errors to `snakemake.log[0]`, warnings to the terminal as well.

    Then see that the provenance can be had: it goes into what is written at the end, and what is wrong with it must not
    throw away a training. The commit is that of the start, too.

    Args:
        snakemake: the object that Snakemake puts into a script.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal], force=True)
    for name in ("httpx", "httpx2"):  # a line per request otherwise
        logging.getLogger(name).setLevel(logging.WARNING)

    def log_error(kind, error, traceback):
        logging.getLogger("lethe").critical("%s", error, exc_info=(kind, error, traceback))

    sys.excepthook = log_error
    provenance(snakemake.config)


def limit_threads(threads: int) -> None:
    """Let torch use as many threads as the scheduler granted; the number is part of a result's reproducibility."""
    import torch

    torch.set_num_threads(threads)
