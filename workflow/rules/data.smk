# Benchmark -> records. With `base` and `checkpoint`, the only rules that may use the network.
rule prepare:
    input:
        files=PLAN.files(PLAN.section("benchmark").get("path"), "*.json"),
        code=PLAN.code("prepare", *PLAN.benchmark_code()),
    output:
        data="results/{study}/prepare/data.json",
        source="results/{study}/prepare/source.json",
    log:
        "results/{study}/logs/prepare.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        benchmark=PLAN.section("benchmark"),
        seed=STUDY.seed,
    script:
        "../scripts/prepare.py"


# Configuration, versions and commit of the study.
rule provenance:
    input:
        source="results/{study}/prepare/source.json",
        models=PLAN.model_sources(),
        labels=PLAN.label_files(),
        runs=PLAN.results("runs"),
    output:
        "results/{study}/provenance/provenance.json",
    log:
        "results/{study}/logs/provenance.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study=STUDY.model_dump(mode="json"),
    script:
        "../scripts/provenance.py"
