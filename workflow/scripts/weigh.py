from lethe.config import MethodConfig
from lethe.io import read_json, read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens import join
from lethe.unlearn import weights_at_start

setup(snakemake)
table = join(map(read_table, snakemake.input.tables))
chosen = iter(snakemake.input.chosen)  # of the swept methods, in the study's order
for name, method in snakemake.params.methods.items():
    method = method or read_json(next(chosen))["method"]
    table[f"weight_{name}"] = weights_at_start(MethodConfig(**method), table, snakemake.params.seed)
write_table(snakemake.output[0], table, provenance(snakemake.config))
