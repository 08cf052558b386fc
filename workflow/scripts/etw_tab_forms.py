from pathlib import Path

import pandas as pd

from lethe import listing
from lethe.config import MethodConfig
from lethe.form_table import form_of, form_statistics, form_table, layout, readable
from lethe.io import read_json, read_table
from lethe.provenance import provenance
from lethe.results import read_runs
from lethe.script import setup

setup(snakemake)
params = snakemake.params
chosen = iter(snakemake.input.chosen)  # of the swept methods, by place and then in the study's order
statistics, forms = [], {}
for place, path in zip(params.places, snakemake.input.tables, strict=True):
    model, split = place
    table = form_statistics(
        read_table(path), params.labels, params.temperatures, params.forms, params.bootstrap, params.seed
    )
    statistics.append(pd.concat([pd.DataFrame({"model": model, "split": split}, index=table.index), table], axis=1))
    methods = {name: MethodConfig(**(method or read_json(next(chosen))["method"])) for name, method in params.methods}
    used = {name: form_of(method.weighting) for name, method in methods.items()}
    forms[model, split] = {name: form for name, form in used.items() if form is not None}
listing.write(
    readable(form_table(pd.concat(statistics, ignore_index=True), read_runs(snakemake.input.runs), forms)),
    Path(snakemake.output.csv).with_suffix(""),
    layout(params.bootstrap),
    provenance(snakemake.config),
)
