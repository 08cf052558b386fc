from pathlib import Path

from lethe.config import MethodConfig
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.information import information_table, layout

setup(snakemake)
table = information_table({name: MethodConfig(**method) for name, method in snakemake.params.methods.items()})
listing.write(table, Path(snakemake.output.csv).with_suffix(""), layout(), provenance(snakemake.config))
