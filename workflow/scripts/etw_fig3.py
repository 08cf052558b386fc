from pathlib import Path

from lethe.figures import etw_fig3, style
from lethe.io import read_table
from lethe.script import setup
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
table = considered(read_table(snakemake.input.table), params.eos)
figure = etw_fig3.draw(table, etw_fig3.core(params.methods), params.label)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
