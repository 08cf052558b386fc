from pydantic import TypeAdapter

from lethe.benchmarks.records import read_records, select
from lethe.config import FormList, PromptConfig
from lethe.io import read_table, write_table
from lethe.models.ready import ready
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.score import score_table

setup(snakemake)
limit_threads(snakemake.threads)
rows = select(read_records(snakemake.input.records), "full", snakemake.wildcards.split)
model, encoder, dtype = ready(
    snakemake.input.model, PromptConfig(**snakemake.params.prompt), snakemake.params.precision, snakemake.resources.gpu
)
table = read_table(snakemake.input.table)
forms = TypeAdapter(FormList).validate_python(snakemake.params.forms)
scored = score_table(model, encoder, rows, table, snakemake.params.temperatures, dtype, forms)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
