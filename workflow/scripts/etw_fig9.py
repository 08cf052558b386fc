from pathlib import Path

from lethe.benchmarks.records import read_records
from lethe.figures import etw_fig9, style
from lethe.io import read_table
from lethe.script import setup

setup(snakemake)
params = snakemake.params
table = read_table(snakemake.input.table)
questions = {record.id: record.question for record in read_records(snakemake.input.records)}
weights = dict(zip(params.methods, map(read_table, snakemake.input.weights), strict=True))
present = set(table["sample"])
sample = next((sample for sample in params.samples if sample in present), table["sample"].iloc[0])
style.save(etw_fig9.draw(table, weights, params.label), Path(snakemake.output.svg).with_suffix(""))
shown = {method: weights[method] for method in etw_fig9.shown(params.methods)}
figure = etw_fig9.draw_tokens(table, shown, sample, params.label, questions[sample])
style.save(figure, Path(snakemake.output.tokens_svg).with_suffix(""))
