from pathlib import Path

from lethe.benchmarks.prepared import read_data
from lethe.figures import etw_fig9, style
from lethe.io import read_table
from lethe.script import setup
from lethe.tokens.shown_samples import check_wanted, chosen_samples
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
table, data = read_table(snakemake.input.table), read_data(snakemake.input.data)
weights = dict(zip(params.methods, map(read_table, snakemake.input.weights), strict=True))
figure = etw_fig9.draw(considered(table, params.eos), weights, params.label)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
check_wanted(params.samples, data)
sample, *_ = chosen_samples(table, params.samples, {row.id: row.group for row in data.rows})
(question,) = [row.prompt or "" for row in data.rows if row.id == sample]
shown = {method: weights[method] for method in etw_fig9.shown(params.methods)}
figure = etw_fig9.draw_tokens(table, shown, sample, params.label, question)
style.save(figure, Path(snakemake.output.tokens_svg).with_suffix(""))
