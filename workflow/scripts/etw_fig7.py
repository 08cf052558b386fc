from pathlib import Path

from lethe.figures import etw_fig7, style
from lethe.io import read_table, write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup
from lethe.tokens.table import considered

setup(snakemake)
label, methods = snakemake.params.label, snakemake.params.methods
table = considered(read_table(snakemake.input.table), snakemake.params.eos)
paths = {"full": snakemake.input.full, "retain": snakemake.input.retain}
paths |= dict(zip(methods, snakemake.input.runs, strict=True))
measured = {who: etw_fig7.answers(read_table(path, etw_fig7.MEASURED)) for who, path in paths.items()}
found = etw_fig7.probabilities(table, measured, label)
distances = etw_fig7.distances(found)
write_text(snakemake.output.distances, stamped_csv(distances, provenance(snakemake.config)))
style.save(etw_fig7.draw(found, distances, methods, label), Path(snakemake.output.probabilities_svg).with_suffix(""))
style.save(etw_fig7.draw_weights(table, methods, label, found), Path(snakemake.output.weights_svg).with_suffix(""))
