from pathlib import Path

from lethe.evaluation.runs import read_logs
from lethe.figures import style, training
from lethe.script import setup

setup(snakemake)
figure = training.draw(read_logs(snakemake.input.logs), snakemake.params.methods)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
