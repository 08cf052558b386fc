from pathlib import Path

import pandas as pd

from lethe.figures import etw_fig2, style
from lethe.io import read_table
from lethe.script import setup
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
kept = (considered(read_table(path), params.eos) for path in snakemake.input.tables)
tables = dict(zip(params.models, kept, strict=True))
correlations = pd.read_csv(snakemake.input.correlations)
figure = etw_fig2.draw(tables, params.labels, params.methods, correlations)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
