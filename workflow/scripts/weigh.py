from lethe.evaluation.chosen import read_chosen, resolved
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.table import join
from lethe.tokens.weigh import weights_at_start

setup(snakemake)
table = join(map(read_table, snakemake.input.tables))
place = (snakemake.wildcards.model, snakemake.wildcards.split)
chosen = read_chosen(snakemake.input.chosen).get(place, {})
for name, method in resolved(snakemake.params.methods, chosen).items():
    table[f"weight_{name}"] = weights_at_start(method.weighting, table, snakemake.params.seed)
write_table(snakemake.output[0], table, provenance(snakemake.config))
