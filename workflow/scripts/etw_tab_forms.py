from pathlib import Path

from lethe.evaluation.chosen import notes, read_chosen, resolved
from lethe.evaluation.runs import read_runs
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.forms import form_statistics, form_table, layout, readable, with_rescaled
from lethe.tokens.table import considered

setup(snakemake)
params = snakemake.params
forms = (params.temperatures, params.forms)
statistics = {}
for place, path in zip(params.places, snakemake.input.tables, strict=True):
    tokens = considered(with_rescaled(read_table(path), *forms), params.eos)
    statistics[place] = form_statistics(tokens, params.labels, *forms, params.bootstrap, params.seed, params.cluster)
chosen = read_chosen(snakemake.input.chosen)
methods = {place: resolved(params.methods, chosen.get(place, {})) for place in params.places}
table = form_table(
    listing.stacked(statistics, ["model", "split"]), read_runs(snakemake.input.runs), methods, params.tried
)
listing.write(
    readable(table),
    Path(snakemake.output.csv).with_suffix(""),
    layout(params.bootstrap, params.cluster, params.eos, params.passes, notes(chosen, params.tried)),
    provenance(snakemake.config),
)
