# The workflow itself is workflow/Snakefile; this shim lets `snakemake` run from the repository root.
include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
