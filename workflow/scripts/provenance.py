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
        "models": {Path(path).parent.name: read_json(path) for path in snakemake.input.models},
    },
)
