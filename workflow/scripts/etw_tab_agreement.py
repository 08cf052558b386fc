from pathlib import Path

import pandas as pd

from lethe import listing
from lethe.agreement import agreement_table, layout
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
params, tables = snakemake.params, []
for model, path in zip(params.models, snakemake.input.tables, strict=True):
    table = agreement_table(read_table(path), params.labels)
    table.insert(0, "model", model)
    tables.append(table)
listing.write(
    pd.concat(tables, ignore_index=True),
    Path(snakemake.output.csv).with_suffix(""),
    layout(snakemake.wildcards.split, params.labels),
    provenance(snakemake.config),
)
