# Models before unlearning: base, full (forget + retain), and one retain model per split.
rule base:
    input:
        data="results/{study}/prepare/data.json",
        files=model_files,
        code=lib(
            "models/sources",
            "training/loop",
            "models/states",
            "methods/kernel",
            "models/prompts",
        ),
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


# Models that others have fine-tuned take the place of `finetune`.
rule checkpoint:
    input:
        files=checkpoint_files,
        code=lib("models/sources"),
    output:
        model=directory("results/{study}/checkpoint/{model}/{data}/model"),
        source="results/{study}/checkpoint/{model}/{data}/source.json",
    log:
        "results/{study}/logs/checkpoint/{model}/{data}.log",
    localrule: NEEDS_NETWORK
    conda:
        "../../environment.yml"
    params:
        checkpoint=lambda wildcards: checkpoint_of(wildcards.model, wildcards.data),
    script:
        "../scripts/checkpoint.py"


rule finetune:
    input:
        data="results/{study}/prepare/data.json",
        model="results/{study}/base/{model}/model",
        code=lib(
            "models/device",
            "models/sources",
            "training/loop",
            "models/states",
            "methods/kernel",
            "models/prompts",
            "tokens/table",
            "training/recorders",
            "benchmarks/contract",
            "benchmarks/prepared",
            *["models/lora"] * (STUDY.finetune.lora is not None),
        ),
    output:
        model=directory("results/{study}/finetune/{model}/{data}/model"),
        log="results/{study}/finetune/{model}/{data}/log.parquet",
        epochs="results/{study}/finetune/{model}/{data}/epochs.parquet",
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
        split=lambda wildcards: split_of(wildcards.data),
        rehearse=lambda wildcards: section(STUDY.models[wildcards.model]).get(
            "rehearse", False
        ),
        prompt=section(STUDY.prompt),
        seed=STUDY.seed,
        temperatures=lambda wildcards: (
            STUDY.finetune_temperatures if wildcards.data == "full" else []
        ),
    script:
        "../scripts/finetune.py"


# Hidden states of the starting model, for retain terms and objectives that compare with it: retain or forget rows, the
# last states or a layer's.
rule reference:
    input:
        data="results/{study}/prepare/data.json",
        model=starting_model,
        code=lib(
            "models/device",
            "training/reference",
            "models/states",
            "models/sources",
            "models/prompts",
            "benchmarks/contract",
            "benchmarks/prepared",
        ),
    output:
        "results/{study}/reference/{model}/{split}/{kept}.safetensors",
    log:
        "results/{study}/logs/reference/{model}/{split}/{kept}.log",
    wildcard_constraints:
        kept=r"forget|retain(-layer\d+)?",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/reference.py"


# Token table of the "I don't know" answers to the forget rows, with the starting model's log-probabilities.
rule refuse:
    input:
        data="results/{study}/prepare/data.json",
        model=starting_model,
        files=REFUSAL_FILES,
        code=lib(
            "models/device",
            "evaluation/measure",
            "models/sources",
            "models/forward",
            "models/states",
            "methods/kernel",
            "models/prompts",
            "tokens/table",
            "benchmarks/contract",
            "benchmarks/prepared",
            "benchmarks/refusals",
        ),
    output:
        "results/{study}/refuse/{model}/{split}.parquet",
    log:
        "results/{study}/logs/refuse/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        lines=STUDY.refusals,
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
        seed=STUDY.seed,
    script:
        "../scripts/refuse.py"
