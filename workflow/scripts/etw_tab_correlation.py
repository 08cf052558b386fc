from pathlib import Path

from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.correlation import correlation_table, layout, score_names, with_masks
from lethe.tokens.table import considered

setup(snakemake)
params, paths = snakemake.params, snakemake.input.tables
tables = {}
for model, path in zip(params.models, paths, strict=True):
    tokens = with_masks(considered(read_table(path), params.eos))
    scores = score_names(tokens, params.methods, params.temperatures, params.forms)
    tables[model] = correlation_table(tokens, params.labels, scores, params.bootstrap, params.seed, params.cluster)
listing.write(
    listing.stacked(tables, ["model"]),
    Path(snakemake.output.csv).with_suffix(""),
    layout(snakemake.wildcards.split, params.bootstrap, params.cluster, params.eos),
    provenance(snakemake.config),
)
