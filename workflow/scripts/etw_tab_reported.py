from pathlib import Path

from lethe.config import MethodConfig
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.reported import layout, our_auc, our_names, readable, reported_table, with_verdicts
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
names = our_names({name: MethodConfig(**method) for name, method in params.methods.items()})
auc = {
    place: our_auc(considered(read_table(path), params.eos), params.labels, names)
    for place, path in zip(params.places, snakemake.input.tables, strict=True)
}
table = reported_table(read_runs(snakemake.input.runs), listing.stacked(auc, ["model", "split"]), names)
search = notes(read_chosen(snakemake.input.chosen), params.tried)
listing.write(
    readable(with_verdicts(table, params.benchmark, params.models, params.evaluation, params.prompt)),
    Path(snakemake.output.csv).with_suffix(""),
    layout(names, params.eos, search),
    provenance(snakemake.config),
)
