from pathlib import Path

import pandas as pd

from lethe.analysis.bounds import summary, vocabulary_size
from lethe.figures import etw_bounds, style
from lethe.io import read_table, write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
kept = (considered(read_table(path), params.eos) for path in snakemake.input.tables)
tables = dict(zip(params.models, kept, strict=True))
numbers = pd.DataFrame(
    {"model": model, **summary(table, vocabulary_size(folder))}
    for (model, table), folder in zip(tables.items(), snakemake.input.folders, strict=True)
)
write_text(snakemake.output.csv, stamped_csv(numbers, provenance(snakemake.config)))
style.save(etw_bounds.draw(tables, numbers, params.label), Path(snakemake.output.svg).with_suffix(""))
