from pathlib import Path

import pandas as pd

from lethe.figures import etw_memorisation, style
from lethe.io import read_table, write_text
from lethe.memorisation import auc_by_epoch
from lethe.script import setup

setup(snakemake)
params, files = snakemake.params, snakemake.input
auc = pd.concat(
    auc_by_epoch(
        read_table(epochs), read_table(tokens), params.labels, params.temperatures, params.bootstrap, params.seed
    ).assign(model=model)
    for model, epochs, tokens in zip(params.models, files.epochs, files.tables, strict=True)
)
auc.insert(0, "model", auc.pop("model"))
write_text(snakemake.output.csv, auc.to_csv(index=False))
style.save(etw_memorisation.draw(auc, params.label), Path(snakemake.output.svg).with_suffix(""))
