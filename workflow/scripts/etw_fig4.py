from pathlib import Path

from lethe.benchmarks.prepared import read_data
from lethe.figures import etw_fig4, style
from lethe.io import read_table, write_text
from lethe.script import setup
from lethe.tokens.shown_samples import check_wanted, chosen_samples

setup(snakemake)
params = snakemake.params
table, data = read_table(snakemake.input.table), read_data(snakemake.input.data)
questions = {row.id: row.prompt or "" for row in data.rows}
check_wanted(params.samples, data)
samples = chosen_samples(table, params.samples, {row.id: row.group for row in data.rows})
figure = etw_fig4.draw(table, samples, params.methods, params.label, questions)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
write_text(snakemake.output.html, etw_fig4.html(table, samples, params.methods, params.label, questions))
