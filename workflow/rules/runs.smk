# One run: (model, split, method, seed), trained and measured.
rule unlearn:
    input:
        unpack(lambda w: PLAN.run_inputs(w.model, w.split, w.method)),
    output:
        **RUN_OUTPUTS,
    log:
        "results/{study}/logs/unlearn/{model}/{split}/{method}/seed{seed}.log",
    benchmark:
        "results/{study}/benchmarks/unlearn/{model}/{split}/{method}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        method=lambda wildcards: PLAN.method(wildcards.method),
        unlearn=PLAN.section("unlearn"),
        prompt=PLAN.section("prompt"),
        refusals=lambda wildcards: PLAN.refusals(wildcards.method),
        epochs=PLAN.epochs(),
        measurement=PLAN.run_measurement(),
    script:
        "../scripts/unlearn.py"


# Every configuration of a swept method, run with the selection seed, and the one that the selection rule picks.
rule search:
    input:
        unpack(lambda w: PLAN.search_inputs(w.model, w.split, w.method)),
    output:
        runs="results/{study}/search/{model}/{split}/{method}/runs.parquet",
        chosen="results/{study}/search/{model}/{split}/{method}/chosen.json",
    log:
        "results/{study}/logs/search/{model}/{split}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/search/{model}/{split}/{method}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        method=lambda wildcards: PLAN.section("methods")[wildcards.method],
        selection=PLAN.section("selection"),
        unlearn=PLAN.section("unlearn"),
        prompt=PLAN.section("prompt"),
        refusals=lambda wildcards: PLAN.refusals(wildcards.method),
        measurement=PLAN.measurement,
        evaluate=PLAN.section("evaluate"),
    script:
        "../scripts/search.py"


# Reference models; and kept models whose measurement is out of date.
rule measure:
    input:
        data="results/{study}/prepare/data.json",
        model=lambda wildcards: PLAN.measured_model(wildcards.model, wildcards.run),
        code=PLAN.code("measure"),
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
        measure=PLAN.section("measure"),
        prompt=PLAN.section("prompt"),
        splits=lambda wildcards: PLAN.measured_splits(wildcards.run),
        study_splits=PLAN.splits,
    script:
        "../scripts/measure.py"


# All runs of a model and split at once: reading the measurements costs more than the metrics.
rule evaluate:
    input:
        data="results/{study}/prepare/data.json",
        tokens=lambda w: [PLAN.measured(w.model, w.split, who) for who in PLAN.who],
        generations=lambda w: [
            PLAN.measured(w.model, w.split, who, "generations") for who in PLAN.who
        ],
        code=PLAN.code("evaluate", *PLAN.benchmark_code()),
    output:
        samples="results/{study}/evaluate/{model}/{split}/samples.parquet",
        runs="results/{study}/evaluate/{model}/{split}/runs.parquet",
        summary="results/{study}/evaluate/{model}/{split}/summary.json",
    log:
        "results/{study}/logs/evaluate/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        who=PLAN.who,
        evaluate=PLAN.section("evaluate"),
        measure=PLAN.section("measure"),
        study_splits=PLAN.splits,
    script:
        "../scripts/evaluate.py"


# Metrics by epoch, from what was measured during the runs.
rule trajectory:
    input:
        data="results/{study}/prepare/data.json",
        tokens=expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{run}/epoch_tokens.parquet",
            run=PLAN.runs,
        ),
        generations=expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{run}/epoch_generations.parquet",
            run=PLAN.runs,
        ),
        reference_tokens=lambda w: PLAN.references(w.model, w.split, "tokens"),
        reference_generations=lambda w: PLAN.references(w.model, w.split, "generations"),
        code=PLAN.code("trajectory", *PLAN.benchmark_code()),
    output:
        "results/{study}/trajectory/{model}/{split}/runs.parquet",
    log:
        "results/{study}/logs/trajectory/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        runs=PLAN.runs,
        evaluate=PLAN.section("evaluate"),
        measure=PLAN.section("measure"),
        study_splits=PLAN.splits,
    script:
        "../scripts/trajectory.py"


# Does the study hold together? The full model must know the forget split, the retain model must not.
rule check:
    input:
        runs=PLAN.results("runs"),
        code=PLAN.code("check"),
    output:
        csv=f"results/{S}/check/check.csv",
        md=report(
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
