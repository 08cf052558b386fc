from lethe.config import load
from lethe.evaluation.check import check, markdown
from lethe.evaluation.runs import read_runs
from lethe.io import write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup

setup(snakemake)
table = check(read_runs(snakemake.input.runs), load(snakemake.config).task)
write_text(snakemake.output.csv, stamped_csv(table, provenance(snakemake.config)))
write_text(snakemake.output.md, markdown(table))
