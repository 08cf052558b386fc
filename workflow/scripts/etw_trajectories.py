from pathlib import Path

from lethe.figures import etw_trajectories, style
from lethe.io import write_text
from lethe.results import read_runs
from lethe.script import setup

setup(snakemake)
params = snakemake.params
runs = read_runs([snakemake.input.runs])
figure = etw_trajectories.draw(runs, params.methods, params.utility)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
best = etw_trajectories.best_epochs(runs, params.utility)
write_text(snakemake.output.best_epochs, best.to_csv(index=False))
