# The token table of a forget split: stages add columns and never rows.
TABLE = "results/{study}/tokens/{model}/{split}.parquet"


rule tokens:
    input:
        data="results/{study}/prepare/data.json",
        model=lambda wildcards: PLAN.tokenizer_folder(wildcards.model),
        code=PLAN.code("tokens"),
    output:
        TABLE,
    log:
        "results/{study}/logs/tokens/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        prompt=PLAN.section("prompt"),
    script:
        "../scripts/tokens.py"


rule annotate:
    input:
        data="results/{study}/prepare/data.json",
        table=TABLE,
        files=PLAN.label_files(),
        code=PLAN.code("annotate", *PLAN.label_code()),
    output:
        "results/{study}/annotate/{model}/{split}.parquet",
    log:
        "results/{study}/logs/annotate/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        labels=PLAN.section("labels"),
    script:
        "../scripts/annotate.py"


rule score:
    input:
        data="results/{study}/prepare/data.json",
        table=TABLE,
        model=lambda wildcards: PLAN.folder(wildcards.model),
        code=PLAN.code("score"),
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
        forms=PLAN.forms(),
        prompt=PLAN.section("prompt"),
        precision=STUDY.measure.precision,
    script:
        "../scripts/score.py"


# What a parser says of each token.
rule parse:
    input:
        data="results/{study}/prepare/data.json",
        table=TABLE,
        code=PLAN.code("parse"),
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


# Mutual information under noise on the starting model's input embeddings.
rule embedding_noise:
    input:
        data="results/{study}/prepare/data.json",
        table=TABLE,
        model=lambda wildcards: PLAN.folder(wildcards.model),
        code=PLAN.code("embedding_noise"),
    output:
        "results/{study}/embedding_noise/{model}/{split}.parquet",
    log:
        "results/{study}/logs/embedding_noise/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        noise=PLAN.noise(),
        seed=STUDY.seed,
        prompt=PLAN.section("prompt"),
        precision=STUDY.measure.precision,
    script:
        "../scripts/embedding_noise.py"


# Weights of every method at the starting model; of a swept method, those of the chosen configuration.
rule weigh:
    input:
        tables=expand(
            "results/{{study}}/{stage}/{{model}}/{{split}}.parquet",
            stage=PLAN.weigh_stages,
        ),
        chosen=lambda wildcards: PLAN.chosen([(wildcards.model, wildcards.split)]),
        code=PLAN.code("weigh", *PLAN.weighting_files()),
    output:
        "results/{study}/weigh/{model}/{split}.parquet",
    log:
        "results/{study}/logs/weigh/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        methods={name: PLAN.method(name) for name in PLAN.methods},
        seed=STUDY.seeds[0],
    script:
        "../scripts/weigh.py"


# The likeliest next words along one answer, at the starting model.
rule next_tokens:
    input:
        table="results/{study}/weigh/{model}/{split}.parquet",
        data="results/{study}/prepare/data.json",
        model=lambda wildcards: PLAN.folder(wildcards.model),
        code=PLAN.code("next_tokens"),
    output:
        "results/{study}/next_tokens/{model}/{split}.parquet",
    log:
        "results/{study}/logs/next_tokens/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        samples=STUDY.figures.samples,
        label=STUDY.figures.label,
        likeliest=drawn.LIKELIEST,
        prompt=PLAN.section("prompt"),
        precision=STUDY.measure.precision,
    script:
        "../scripts/next_tokens.py"
