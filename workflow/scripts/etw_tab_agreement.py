from pathlib import Path

from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.agreement import agreement_table, layout
from lethe.tokens.table import considered

setup(snakemake)
params, paths = snakemake.params, snakemake.input.tables
tables = {}
for model, path in zip(params.models, paths, strict=True):
    tables[model] = agreement_table(considered(read_table(path), params.eos), params.labels)
listing.write(
    listing.stacked(tables, ["model"]),
    Path(snakemake.output.csv).with_suffix(""),
    layout(snakemake.wildcards.split, params.labels, params.eos),
    provenance(snakemake.config),
)
