from pathlib import Path

import pandas as pd

from lethe import listing
from lethe.correlation import correlation_table, layout, score_names
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
params, tables = snakemake.params, []
for model, path in zip(params.models, snakemake.input.tables, strict=True):
    tokens = read_table(path)
    scores = score_names(tokens, params.methods, params.temperatures, params.forms)
    table = correlation_table(tokens, params.labels, scores, params.bootstrap, params.seed)
    table.insert(0, "model", model)
    tables.append(table)
listing.write(
    pd.concat(tables, ignore_index=True),
    Path(snakemake.output.csv).with_suffix(""),
    layout(snakemake.wildcards.split, params.bootstrap),
    provenance(snakemake.config),
)
