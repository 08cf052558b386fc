# The token table of a forget split: stages add columns and never rows. `annotate` and `score` do not need each other.
rule tokens:
    input:
        data="results/{study}/prepare/data.json",
        model=tokenizer_folder,
        code=lib("tokens/table", "models/prompts", "models/sources"),
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
        data="results/{study}/prepare/data.json",
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
        data="results/{study}/prepare/data.json",
        table="results/{study}/tokens/{model}/{split}.parquet",
        model=starting_model,
        code=lib(
            "models/device",
            "evaluation/measure",
            "models/sources",
            "models/forward",
            "models/states",
            "methods/kernel",
            "models/prompts",
            "tokens/table",
            "methods/forms",
        ),
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
        forms=section(STUDY)["forms"] + NEEDED_FORMS,
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/score.py"


# What a parser says of each token.
rule parse:
    input:
        data="results/{study}/prepare/data.json",
        table="results/{study}/tokens/{model}/{split}.parquet",
        code=lib("tokens/parse", "labels/align", "labels/spacy"),
    output:
        "results/{study}/parse/{model}/{split}.parquet",
    log:
        "results/{study}/logs/parse/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        parser=STUDY.parser.model,
    script:
        "../scripts/parse.py"


# Mutual information under disturbed passes of the starting model.
rule disturb:
    input:
        data="results/{study}/prepare/data.json",
        table="results/{study}/tokens/{model}/{split}.parquet",
        model=starting_model,
        code=lib(
            "models/device",
            "tokens/embedding_noise",
            "models/sources",
            "models/prompts",
            "models/states",
            "methods/kernel",
            "tokens/table",
        ),
    output:
        "results/{study}/disturb/{model}/{split}.parquet",
    log:
        "results/{study}/logs/disturb/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        passes=(STUDY.disturb or DisturbConfig()).passes,
        scale=(STUDY.disturb or DisturbConfig()).scale,
        seed=STUDY.seed,
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/disturb.py"


# Weights of every method at the starting model; of a swept method, those of the chosen point.
rule weigh:
    input:
        tables=expand(
            "results/{{study}}/{stage}/{{model}}/{{split}}.parquet", stage=WEIGH_STAGES
        ),
        chosen=expand(
            "results/{{study}}/search/{{model}}/{{split}}/{method}/chosen.json",
            method=SWEPT,
        ),
        code=lib(
            "evaluation/chosen",
            "methods/contract",
            "training/unlearn",
            "methods/forms",
            "tokens/table",
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
        methods={
            name: None if name in SWEPT else section(method)
            for name, method in STUDY.methods.items()
        },
        seed=STUDY.seeds[0],
    script:
        "../scripts/weigh.py"
