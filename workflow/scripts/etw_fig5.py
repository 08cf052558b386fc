from pathlib import Path

from lethe.evaluation.runs import read_runs
from lethe.figures import etw_fig5, style
from lethe.script import setup

setup(snakemake)
figure = etw_fig5.draw(read_runs(snakemake.input.runs), snakemake.params.methods)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
