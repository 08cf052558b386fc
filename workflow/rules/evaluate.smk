# measure runs a model; evaluate computes every metric from what was measured.
rule measure:
    input:
        data="results/{study}/prepare/data.json",
        model=measured_model,
        code=lib(
            "models/ready",
            "models/device",
            "evaluation/measure",
            "evaluation/sets",
            "models/sources",
            "models/forward",
            "models/states",
            "methods/kernel",
            "models/prompts",
            "tokens/table",
        ),
    output:
        tokens="results/{study}/measure/{model}/{run}/tokens.parquet",
        generations="results/{study}/measure/{model}/{run}/generations.parquet",
        cost="results/{study}/measure/{model}/{run}/cost.json",
    log:
        "results/{study}/logs/measure/{model}/{run}.log",
    benchmark:
        "results/{study}/benchmarks/measure/{model}/{run}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        evaluation=measuring(STUDY.evaluation),
        prompt=section(STUDY.prompt),
        splits=measured_splits,
        study_splits=SPLITS,
    script:
        "../scripts/measure.py"


# All runs of a model and split at once: reading the measurements costs more than the metrics.
rule evaluate:
    input:
        data="results/{study}/prepare/data.json",
        tokens=lambda wildcards: expand(
            "results/{{study}}/measure/{{model}}/{run}/tokens.parquet",
            run=[measured_run(wildcards.split, who) for who in WHO],
        ),
        generations=lambda wildcards: expand(
            "results/{{study}}/measure/{{model}}/{run}/generations.parquet",
            run=[measured_run(wildcards.split, who) for who in WHO],
        ),
        code=lib(
            "evaluation/sets",
            "evaluation/evaluate",
            "evaluation/runs",
            *METRIC_MODULES,
        ),
    output:
        samples="results/{study}/evaluate/{model}/{split}/samples.parquet",
        runs="results/{study}/evaluate/{model}/{split}/runs.parquet",
        summary="results/{study}/evaluate/{model}/{split}/summary.json",
    log:
        "results/{study}/logs/evaluate/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        who=WHO,
        evaluation=judging(STUDY.evaluation),
        study_splits=SPLITS,
    script:
        "../scripts/evaluate.py"


# Every point of a sweep, run with the selection seed, and the one that the selection rule picks.
rule search:
    input:
        data="results/{study}/prepare/data.json",
        tokens=lambda wildcards: searched(wildcards, "tokens"),
        generations=lambda wildcards: searched(wildcards, "generations"),
        code=lib(
            "evaluation/sets",
            "evaluation/evaluate",
            "evaluation/runs",
            "selection",
            *METRIC_MODULES,
        ),
    output:
        runs="results/{study}/search/{model}/{split}/{method}/runs.parquet",
        chosen="results/{study}/search/{model}/{split}/{method}/chosen.json",
    log:
        "results/{study}/logs/search/{model}/{split}/{method}.log",
    conda:
        "../../environment.yml"
    params:
        points=lambda wildcards: point_parameters(wildcards.method),
        methods=lambda wildcards: {
            point: section(method)
            for point, method in POINTS[wildcards.method].items()
        },
        rule=STUDY.selection.rule,
        seed=STUDY.selection.seed,
        evaluation=judging(STUDY.evaluation),
        study_splits=SPLITS,
    script:
        "../scripts/search.py"


# Metrics by epoch, from what was measured during the runs.
rule trajectory:
    input:
        data="results/{study}/prepare/data.json",
        tokens=lambda wildcards: expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{run}/epoch_tokens.parquet",
            run=RUNS,
        ),
        generations=lambda wildcards: expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{run}/epoch_generations.parquet",
            run=RUNS,
        ),
        reference_tokens=lambda wildcards: expand(
            "results/{{study}}/measure/{{model}}/{run}/tokens.parquet",
            run=references(wildcards.split),
        ),
        reference_generations=lambda wildcards: expand(
            "results/{{study}}/measure/{{model}}/{run}/generations.parquet",
            run=references(wildcards.split),
        ),
        code=lib(
            "evaluation/trajectory",
            "evaluation/sets",
            "evaluation/evaluate",
            "evaluation/runs",
            *METRIC_MODULES,
        ),
    output:
        "results/{study}/trajectory/{model}/{split}/runs.parquet",
    log:
        "results/{study}/logs/trajectory/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        runs=RUNS,
        evaluation=judging(STUDY.evaluation)
        | STUDY.evaluation.model_dump(mode="json", include={"epoch_limits"}),
        study_splits=SPLITS,
    script:
        "../scripts/trajectory.py"


# Does the study hold together? The full model must know the forget split, the retain model must not.
rule check:
    input:
        expand(
            "results/{study}/evaluate/{model}/{split}/runs.parquet",
            study=S,
            model=MODELS,
            split=SPLITS,
        ),
        code=lib("evaluation/check", "evaluation/runs"),
    output:
        f"results/{S}/check/check.csv",
        report(
            f"results/{S}/check/check.md",
            caption="../report/check.rst",
            category="1 Checks",
        ),
    log:
        f"results/{S}/logs/check.log",
    localrule: True
    conda:
        "../../environment.yml"
    script:
        "../scripts/check.py"
