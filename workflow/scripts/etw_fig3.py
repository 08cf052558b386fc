from pathlib import Path

from lethe.figures import etw_fig3, style
from lethe.io import read_table
from lethe.script import setup

setup(snakemake)
methods = etw_fig3.core(snakemake.params.methods)
figure = etw_fig3.draw(read_table(snakemake.input.table), methods, snakemake.params.label)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
