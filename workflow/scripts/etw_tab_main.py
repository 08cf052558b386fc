from pathlib import Path

from lethe.io import write_text
from lethe.provenance import provenance
from lethe.results import read_runs
from lethe.script import setup
from lethe.tables import MAIN_METRICS, html, main_table, write

setup(snakemake)
caption = "Forgetting, utility and privacy of every method; mean ± standard deviation over seeds."
if snakemake.params.swept:
    selection = snakemake.params.selection
    caption += (
        f" Hyper-parameters of {', '.join(snakemake.params.swept)} were chosen by {selection['rule']} on seed "
        f"{selection['seed']}, which is not among the seeds reported."
    )
runs = read_runs(snakemake.input.runs)
table, origin = main_table(runs, MAIN_METRICS), provenance(snakemake.config)
write(table, Path(snakemake.output.csv).with_suffix(""), caption, origin)
write_text(snakemake.output.html, html(table, caption, origin))
write_text(snakemake.output.runs, runs.to_csv(index=False))
