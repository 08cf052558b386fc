# Models before unlearning: base, full (forget + retain), and one retain model per split.
rule base:
    input:
        records="results/{study}/prepare/records.parquet",
        files=model_files,
        code=lib("models", "train", "statistics", "prompts"),
    output:
        model=directory("results/{study}/base/{model}/model"),
        source="results/{study}/base/{model}/source.json",
    log:
        "results/{study}/logs/base/{model}.log",
    benchmark:
        "results/{study}/benchmarks/base/{model}.tsv"
    localrule: NEEDS_NETWORK
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        model=lambda wildcards: section(STUDY.models[wildcards.model]),
        prompt=section(STUDY.prompt),
        seed=STUDY.seed,
    script:
        "../scripts/base.py"


rule finetune:
    input:
        records="results/{study}/prepare/records.parquet",
        model="results/{study}/base/{model}/model",
        code=lib("models", "train", "statistics", "prompts", "benchmarks/records"),
    output:
        model=directory("results/{study}/finetune/{model}/{data}/model"),
        log="results/{study}/finetune/{model}/{data}/log.parquet",
    log:
        "results/{study}/logs/finetune/{model}/{data}.log",
    benchmark:
        "results/{study}/benchmarks/finetune/{model}/{data}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        training=section(STUDY.finetune),
        rehearse=lambda wildcards: section(STUDY.models[wildcards.model]).get(
            "rehearse", False
        ),
        prompt=section(STUDY.prompt),
        seed=STUDY.seed,
    script:
        "../scripts/finetune.py"


# Last hidden states of the starting model on the retain rows, for retain terms that compare with it.
rule reference:
    input:
        records="results/{study}/prepare/records.parquet",
        model="results/{study}/finetune/{model}/full/model",
        code=lib("reference", "forward", "prompts", "benchmarks/records"),
    output:
        "results/{study}/reference/{model}/{split}.safetensors",
    log:
        "results/{study}/logs/reference/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/reference.py"
