from pathlib import Path

from lethe.figures import etw_fig3, style
from lethe.io import read_table
from lethe.script import setup

setup(snakemake)
figure = etw_fig3.draw(read_table(snakemake.input.table), snakemake.params.methods, snakemake.params.label)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
