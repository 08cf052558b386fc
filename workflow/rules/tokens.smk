# The token table of a forget split: stages add columns and never rows. `annotate` and `score` do not need each other.
rule tokens:
    input:
        records="results/{study}/prepare/records.parquet",
        model="results/{study}/base/{model}/model",
        code=lib("tokens", "prompts"),
    output:
        "results/{study}/tokens/{model}/{split}.parquet",
    log:
        "results/{study}/logs/tokens/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        prompt=section(STUDY.prompt),
    script:
        "../scripts/tokens.py"


rule annotate:
    input:
        records="results/{study}/prepare/records.parquet",
        table="results/{study}/tokens/{model}/{split}.parquet",
        files=LABEL_FILES,
        code=lib(
            "labels/__init__",
            "labels/align",
            *sorted({f"labels/{label.source}" for label in STUDY.labels.values()}),
        ),
    output:
        "results/{study}/annotate/{model}/{split}.parquet",
    log:
        "results/{study}/logs/annotate/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        labels={name: section(label) for name, label in STUDY.labels.items()},
    script:
        "../scripts/annotate.py"


rule score:
    input:
        records="results/{study}/prepare/records.parquet",
        table="results/{study}/tokens/{model}/{split}.parquet",
        model="results/{study}/finetune/{model}/full/model",
        code=lib("measure", "forward", "statistics", "prompts"),
    output:
        "results/{study}/score/{model}/{split}.parquet",
    log:
        "results/{study}/logs/score/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        temperatures=STUDY.all_temperatures(),
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/score.py"


# Weights of every method at the starting model.
rule weigh:
    input:
        tables=[
            "results/{study}/annotate/{model}/{split}.parquet",
            "results/{study}/score/{model}/{split}.parquet",
        ],
        code=lib(
            "method",
            "unlearn",
            *sorted(
                {f"weightings/{weighting_name(m)}" for m in STUDY.methods.values()}
            ),
        ),
    output:
        "results/{study}/weigh/{model}/{split}.parquet",
    log:
        "results/{study}/logs/weigh/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        methods={name: section(method) for name, method in STUDY.methods.items()},
        seed=STUDY.seeds[0],
    script:
        "../scripts/weigh.py"
