from pathlib import Path

from lethe.config import load
from lethe.evaluation.runs import read_runs
from lethe.figures import etw_trajectories, style
from lethe.io import write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup

setup(snakemake)
params = snakemake.params
runs = read_runs([snakemake.input.runs])
benchmark = load(snakemake.config).task
best = etw_trajectories.best_epochs(runs, params.utility, params.rule, benchmark=benchmark)
write_text(snakemake.output.best_epochs, stamped_csv(best, provenance(snakemake.config)))
figure = etw_trajectories.draw(runs, best, params.methods, params.utility, params.rule, benchmark=benchmark)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
