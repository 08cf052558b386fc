from pathlib import Path

from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.main import ALSO, MAIN_METRICS, layout, main_table, with_best

setup(snakemake)
runs = read_runs(snakemake.input.runs)
search = notes(read_chosen(snakemake.input.chosen), snakemake.params.tried)
listing.write(
    with_best(main_table(runs, [*MAIN_METRICS, *ALSO]), MAIN_METRICS),
    Path(snakemake.output.csv).with_suffix(""),
    layout(MAIN_METRICS, search),
    provenance(snakemake.config),
)
write_text(snakemake.output.runs, stamped_csv(runs, provenance(snakemake.config)))
