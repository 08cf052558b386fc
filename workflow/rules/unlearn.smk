# One run: (model, split, method, seed).
rule unlearn:
    input:
        unpack(unlearn_inputs),
    output:
        model=kept(
            directory(
                "results/{study}/unlearn/{model}/{split}/{method}/seed{seed}/model"
            )
        ),
        log="results/{study}/unlearn/{model}/{split}/{method}/seed{seed}/log.parquet",
    log:
        "results/{study}/logs/unlearn/{model}/{split}/{method}/seed{seed}.log",
    benchmark:
        "results/{study}/benchmarks/unlearn/{model}/{split}/{method}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        method=lambda wildcards: section(STUDY.methods[wildcards.method]),
        training=lambda wildcards: section(STUDY.training(wildcards.method)),
        prompt=section(STUDY.prompt),
    script:
        "../scripts/unlearn.py"
