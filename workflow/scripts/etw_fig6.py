from pathlib import Path

from lethe.config import load
from lethe.evaluation.runs import read_runs
from lethe.figures import etw_fig6, style
from lethe.script import setup

setup(snakemake)
params = snakemake.params
points = read_runs(snakemake.input.search) if snakemake.input.search else None
benchmark = load(snakemake.config).task
figure = etw_fig6.draw(read_runs(snakemake.input.runs), params.methods, points, params.rule, benchmark=benchmark)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
