from pathlib import Path

from lethe.io import read_json, sha256, write_json
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
write_json(
    snakemake.output[0],
    {
        **provenance(snakemake.config),
        "resolved_config": snakemake.params.study,
        "benchmark": read_json(snakemake.input.source),
        "label_files": {path: sha256(path) for path in snakemake.input.labels},
        # base/<model>/source.json, or checkpoint/<model>/<data>/source.json
        "models": {"/".join(Path(path).parent.parts[3:]): read_json(path) for path in snakemake.input.models},
    },
)
