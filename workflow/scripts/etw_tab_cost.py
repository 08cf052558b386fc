from pathlib import Path

from lethe.evaluation.runs import read_logs
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.cost import cost_table, layout

setup(snakemake)
params, paths = snakemake.params, iter(snakemake.input.logs)
logs = {place: read_logs(next(paths) for _ in range(params.runs)) for place in params.places}
listing.write(
    cost_table(listing.stacked(logs, ["model", "split"]), params.baseline),
    Path(snakemake.output.csv).with_suffix(""),
    layout(params.baseline),
    provenance(snakemake.config),
)
