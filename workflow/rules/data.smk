# Benchmark -> its data. With `base` and `checkpoint`, the only rules that may use the network.
rule prepare:
    input:
        files=BENCHMARK_FILES,
        code=lib(
            "benchmarks/__init__",
            "benchmarks/contract",
            "benchmarks/prepared",
            "benchmarks/records",
            "benchmarks/tofu_form",
            "benchmarks/json_lines",
            *BENCHMARK_MODULES,
        ),
    output:
        data="results/{study}/prepare/data.json",
        source="results/{study}/prepare/source.json",
    log:
        "results/{study}/logs/prepare.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        benchmark=section(STUDY.benchmark),
        seed=STUDY.seed,
    script:
        "../scripts/prepare.py"


# Configuration, versions and commit of the study.
rule provenance:
    input:
        source="results/{study}/prepare/source.json",
        models=expand("results/{{study}}/base/{model}/source.json", model=TRAINED)
        + expand(
            "results/{{study}}/checkpoint/{model}/{data}/source.json",
            model=FETCHED,
            data=["full", *RETAINS],
        ),
        labels=LABEL_FILES,
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
    output:
        "results/{study}/provenance/provenance.json",
    log:
        "results/{study}/logs/provenance.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study=section(STUDY),
    script:
        "../scripts/provenance.py"
