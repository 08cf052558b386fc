from pathlib import Path

import pandas as pd

from lethe import listing
from lethe.config import MethodConfig
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.reported import comparability, layout, our_auc, our_names, readable, reported_table
from lethe.results import read_runs
from lethe.script import setup

setup(snakemake)
params = snakemake.params
names = our_names({name: MethodConfig(**method) for name, method in params.methods.items()})
auc = pd.concat(
    our_auc(read_table(path), params.labels, names).assign(model=model, split=split)
    for (model, split), path in zip(params.places, snakemake.input.tables, strict=True)
)
table = reported_table(read_runs(snakemake.input.runs), auc, names)
verdict = {
    (model, split): comparability(params.benchmark, params.models[model], split, params.limits)
    for model, split in params.places
}
table["comparable"] = [verdict[place] for place in zip(table["model"], table["split"], strict=True)]
listing.write(readable(table), Path(snakemake.output.csv).with_suffix(""), layout(names), provenance(snakemake.config))
