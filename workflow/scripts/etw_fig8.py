from pathlib import Path

from lethe.evaluation.runs import read_runs
from lethe.figures import etw_fig8, style
from lethe.script import setup

setup(snakemake)
figure = etw_fig8.draw(read_runs(snakemake.input.search), snakemake.wildcards.method, snakemake.params.rule)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
