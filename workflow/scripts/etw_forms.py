from pathlib import Path

from lethe.figures import etw_forms, style
from lethe.io import write_text
from lethe.results import read_runs
from lethe.script import setup

setup(snakemake)
points = read_runs(snakemake.input.search)
write_text(snakemake.output.csv, etw_forms.cheapest(points).to_csv(index=False))
style.save(etw_forms.draw(points, snakemake.params.methods), Path(snakemake.output.svg).with_suffix(""))
