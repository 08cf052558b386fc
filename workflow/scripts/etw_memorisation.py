from pathlib import Path

from lethe.analysis.curves import curves
from lethe.analysis.memorisation import auc_by_epoch
from lethe.config import MethodConfig
from lethe.figures import etw_memorisation, style
from lethe.io import read_table, write_text
from lethe.provenance import provenance, stamped_csv
from lethe.script import setup
from lethe.tables.render import stacked
from lethe.tokens.table import considered

setup(snakemake)
params, files = snakemake.params, snakemake.input
followed = curves({name: MethodConfig(**method) for name, method in params.methods.items()}, params.temperatures)
tables = {
    model: auc_by_epoch(
        read_table(epochs),
        considered(read_table(tokens), params.eos),
        params.labels,
        followed,
        params.bootstrap,
        params.seed,
        params.cluster,
    )
    for model, epochs, tokens in zip(params.models, files.epochs, files.tables, strict=True)
}
auc = stacked(tables, ["model"])
write_text(snakemake.output.csv, stamped_csv(auc, provenance(snakemake.config)))
style.save(etw_memorisation.draw(auc, params.label), Path(snakemake.output.svg).with_suffix(""))
