from pathlib import Path

from lethe.benchmarks.prepared import read_data
from lethe.config import load
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import read_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tables import render as listing
from lethe.tables.significance import headed, sample_layout, sample_table, seed_layout, seed_table

setup(snakemake)
params, origin = snakemake.params, provenance(snakemake.config)
benchmark, data = load(snakemake.config).task, read_data(snakemake.input.data)
groups = {probe.id: probe.group for probe in data.probes if probe.set == benchmark.headline.probes}
tables = {
    place: sample_table(read_table(path), groups, params.method, benchmark, params.bootstrap, params.seed)
    for place, path in zip(params.places, snakemake.input.samples, strict=True)
}
search = notes(read_chosen(snakemake.input.chosen), params.tried)
listing.write(
    headed(seed_table(read_runs(snakemake.input.runs), params.method, benchmark), benchmark),
    Path(snakemake.output.csv).with_suffix(""),
    seed_layout(params.method, params.seeds, search),
    origin,
)
listing.write(
    headed(listing.stacked(tables, ["model", "split"]), benchmark),
    Path(snakemake.output.samples_csv).with_suffix(""),
    sample_layout(params.method, params.bootstrap, benchmark, search),
    origin,
)
