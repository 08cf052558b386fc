from pathlib import Path

from lethe.benchmarks.records import read_records
from lethe.figures import etw_fig9, style
from lethe.io import read_table
from lethe.script import setup
from lethe.tokens.shown_samples import check_wanted, chosen_samples
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
table, records = read_table(snakemake.input.table), read_records(snakemake.input.records)
weights = dict(zip(params.methods, map(read_table, snakemake.input.weights), strict=True))
figure = etw_fig9.draw(considered(table, params.eos), weights, params.label)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
check_wanted(params.samples, records)
sample, *_ = chosen_samples(table, params.samples, {record.id: record.group for record in records})
(question,) = [record.question for record in records if record.id == sample]
shown = {method: weights[method] for method in etw_fig9.shown(params.methods)}
figure = etw_fig9.draw_tokens(table, shown, sample, params.label, question)
style.save(figure, Path(snakemake.output.tokens_svg).with_suffix(""))
