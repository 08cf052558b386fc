from pathlib import Path

from lethe.benchmarks.records import read_records
from lethe.figures import etw_fig4, style
from lethe.io import read_table, write_text
from lethe.script import setup
from lethe.tokens.shown_samples import check_wanted, chosen_samples

setup(snakemake)
params = snakemake.params
table, records = read_table(snakemake.input.table), read_records(snakemake.input.records)
questions = {record.id: record.question for record in records}
check_wanted(params.samples, records)
samples = chosen_samples(table, params.samples, {record.id: record.group for record in records})
figure = etw_fig4.draw(table, samples, params.methods, params.label, questions)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
write_text(snakemake.output.html, etw_fig4.html(table, samples, params.methods, params.label, questions))
