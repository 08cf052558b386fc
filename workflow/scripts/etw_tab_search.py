from pathlib import Path

from lethe import listing
from lethe.provenance import provenance
from lethe.results import read_runs
from lethe.script import setup
from lethe.search_table import layout

setup(snakemake)
params = snakemake.params
listing.write(
    read_runs(snakemake.input.runs),
    Path(snakemake.output.csv).with_suffix(""),
    layout(params.rule, params.seed, params.seeds),
    provenance(snakemake.config),
)
