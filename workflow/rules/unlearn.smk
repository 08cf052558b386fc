# One run: (model, split, method, seed). Points of a sweep are methods here, too.
rule unlearn:
    input:
        unpack(unlearn_inputs),
    output:
        **{
            name: f"results/{{study}}/unlearn/{{model}}/{{split}}/{{method}}/seed{{seed}}/{name}.parquet"
            for name in UNLEARN_TABLES
        },
        model=kept(
            directory(
                "results/{study}/unlearn/{model}/{split}/{method}/seed{seed}/model"
            )
        ),
    log:
        "results/{study}/logs/unlearn/{model}/{split}/{method}/seed{seed}.log",
    benchmark:
        "results/{study}/benchmarks/unlearn/{model}/{split}/{method}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        method=lambda wildcards: method_of(wildcards.method),
        kept=lambda wildcards: list(configs(wildcards.method)[0].kept()),
        unlearn=section(STUDY.unlearn),
        prompt=section(STUDY.prompt),
        lines=lambda wildcards: refusal_lines(wildcards.method),
        study_seed=STUDY.seed,
        tables=UNLEARN_TABLES[1:],
        epochs=lambda wildcards: epoch_evaluation(wildcards.method),
    script:
        "../scripts/unlearn.py"
