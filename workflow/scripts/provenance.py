from lethe.io import write_json
from lethe.provenance import of_study
from lethe.script import setup

setup(snakemake)
source = snakemake.input
record = of_study(snakemake.config, snakemake.params.study, source.source, source.labels, source.models)
write_json(snakemake.output[0], record)
