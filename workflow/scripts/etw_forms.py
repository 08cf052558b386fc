from pathlib import Path

from lethe.config import load
from lethe.evaluation.runs import read_runs
from lethe.figures import etw_forms, style
from lethe.io import write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup

setup(snakemake)
benchmark = load(snakemake.config).task
points = read_runs(snakemake.input.search)
write_text(snakemake.output.csv, stamped_csv(etw_forms.cheapest(points, benchmark), provenance(snakemake.config)))
figure = etw_forms.draw(points, snakemake.params.methods, snakemake.params.reference, benchmark=benchmark)
style.save(figure, Path(snakemake.output.svg).with_suffix(""))
