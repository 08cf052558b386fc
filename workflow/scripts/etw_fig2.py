from pathlib import Path

import pandas as pd

from lethe.figures import etw_fig2, style
from lethe.io import read_table, write_text
from lethe.roc import auc_table
from lethe.script import setup
from lethe.tokens import considered, entropy_column

setup(snakemake)
params = snakemake.params
kept = (considered(read_table(path), params.eos) for path in snakemake.input.tables)
tables = dict(zip(params.models, kept, strict=True))
scores = [f"weight_{method}" for method in params.methods]
scores += ["-logprob", *map(entropy_column, params.temperatures)]
auc = pd.concat(
    auc_table(table, params.labels, scores, params.bootstrap, params.seed, cluster=params.cluster).assign(model=model)
    for model, table in tables.items()
)
write_text(snakemake.output.auc, auc.to_csv(index=False))
figure = etw_fig2.draw(tables, params.labels, params.methods, auc)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
