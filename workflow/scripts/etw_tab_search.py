from pathlib import Path

from lethe.config import load
from lethe.evaluation.runs import read_runs
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.search import layout

setup(snakemake)
params = snakemake.params
listing.write(
    read_runs(snakemake.input.runs),
    Path(snakemake.output.csv).with_suffix(""),
    layout(params.rule, params.seed, params.seeds, load(snakemake.config).task),
    provenance(snakemake.config),
)
