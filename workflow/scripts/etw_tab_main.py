from pathlib import Path

from lethe.config import load
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.main import layout, main_table, with_best

setup(snakemake)
benchmark = load(snakemake.config).task
runs = read_runs(snakemake.input.runs)
search = notes(read_chosen(snakemake.input.chosen), snakemake.params.tried)
listing.write(
    with_best(main_table(runs, [*benchmark.main, *benchmark.also]), benchmark),
    Path(snakemake.output.csv).with_suffix(""),
    layout(benchmark, search),
    provenance(snakemake.config),
)
write_text(snakemake.output.runs, stamped_csv(runs, provenance(snakemake.config)))
