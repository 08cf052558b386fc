# Models before unlearning: base, full (forget + retain), and one retain model per split.
rule base:
    input:
        data="results/{study}/prepare/data.json",
        files=lambda wildcards: PLAN.files(
            PLAN.section("models")[wildcards.model].get("path")
        ),
        code=PLAN.code("base"),
    output:
        model=directory("results/{study}/base/{model}/model"),
        source="results/{study}/base/{model}/source.json",
    log:
        "results/{study}/logs/base/{model}.log",
    benchmark:
        "results/{study}/benchmarks/base/{model}.tsv"
    localrule: PLAN.needs_network
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        model=lambda wildcards: PLAN.section("models")[wildcards.model],
        prompt=PLAN.section("prompt"),
        seed=STUDY.seed,
    script:
        "../scripts/base.py"


# Models that others have fine-tuned take the place of `finetune`.
rule checkpoint:
    input:
        files=lambda wildcards: PLAN.files(
            PLAN.checkpoint(wildcards.model, wildcards.data).get("path")
        ),
        code=PLAN.code("checkpoint"),
    output:
        model=directory("results/{study}/checkpoint/{model}/{data}/model"),
        source="results/{study}/checkpoint/{model}/{data}/source.json",
    log:
        "results/{study}/logs/checkpoint/{model}/{data}.log",
    localrule: PLAN.needs_network
    conda:
        "../../environment.yml"
    params:
        checkpoint=lambda wildcards: PLAN.checkpoint(wildcards.model, wildcards.data),
    script:
        "../scripts/checkpoint.py"


rule finetune:
    input:
        data="results/{study}/prepare/data.json",
        model="results/{study}/base/{model}/model",
        code=PLAN.code("finetune"),
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
        training=PLAN.section("finetune"),
        split=lambda wildcards: PLAN.split_of(wildcards.data),
        rehearse=lambda wildcards: PLAN.section("models")[wildcards.model].get(
            "rehearse", False
        ),
        prompt=PLAN.section("prompt"),
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
        model=lambda wildcards: PLAN.folder(wildcards.model),
        code=PLAN.code("reference"),
    output:
        "results/{study}/reference/{model}/{split}/{kept}.safetensors",
    log:
        "results/{study}/logs/reference/{model}/{split}/{kept}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        prompt=PLAN.section("prompt"),
        precision=STUDY.measure.precision,
    script:
        "../scripts/reference.py"


# Token table of the "I don't know" answers to the forget rows, with the starting model's log-probabilities.
rule refuse:
    input:
        data="results/{study}/prepare/data.json",
        model=lambda wildcards: PLAN.folder(wildcards.model),
        files=[STUDY.refusals] if STUDY.refusals else [],
        code=PLAN.code("refuse"),
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
        prompt=PLAN.section("prompt"),
        precision=STUDY.measure.precision,
        seed=STUDY.seed,
    script:
        "../scripts/refuse.py"
