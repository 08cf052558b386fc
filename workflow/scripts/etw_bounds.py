from pathlib import Path

import pandas as pd

from lethe.bounds import summary
from lethe.figures import etw_bounds, style
from lethe.io import read_json, read_table, write_text
from lethe.script import setup

setup(snakemake)
params = snakemake.params
tables = dict(zip(params.models, map(read_table, snakemake.input.tables), strict=True))
configs = [read_json(Path(folder) / "config.json") for folder in snakemake.input.folders]
# Models of several modes keep their language model's numbers in a section of their own.
vocabulary = [config.get("text_config", config)["vocab_size"] for config in configs]
numbers = pd.DataFrame(
    {"model": model, **summary(table, size)} for (model, table), size in zip(tables.items(), vocabulary, strict=True)
)
write_text(snakemake.output.csv, numbers.to_csv(index=False))
style.save(etw_bounds.draw(tables, numbers, params.label), Path(snakemake.output.svg).with_suffix(""))
