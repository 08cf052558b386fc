from pathlib import Path

from lethe.config import load
from lethe.evaluation.runs import read_runs
from lethe.figures import etw_fig8, style
from lethe.script import setup

setup(snakemake)
benchmark, method = load(snakemake.config).task, snakemake.wildcards.method
figure = etw_fig8.draw(read_runs(snakemake.input.search), method, snakemake.params.rule, benchmark=benchmark)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
