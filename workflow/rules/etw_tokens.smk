# Figures on what entropy says of tokens that confidence does not: ETW's motivation (Fig. 1), its bounds, and how both
# depend on memorisation.
from lethe.analysis.curves import left_out


localrules:
    etw_bounds,
    etw_memorisation,


rule etw_fig1:
    input:
        table=TOKEN_TABLE,
        data="results/{study}/prepare/data.json",
        model=starting_model,
        code=lib(
            "models/device",
            "figures/etw_fig1",
            "figures/style",
            "figures/token_text",
            "analysis/next_tokens",
            "tokens/shown_samples",
            "benchmarks/contract",
            "benchmarks/prepared",
            "models/sources",
            "models/states",
            "methods/kernel",
            "models/prompts",
        ),
    output:
        table="results/{study}/etw_fig1/{model}/{split}.parquet",
        png="results/{study}/etw_fig1/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_fig1/{model}/{split}.svg",
            caption="../report/etw_fig1.rst",
            category="3 Tokens",
            labels={
                "figure": "next-token distributions",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_fig1/{model}/{split}.pdf",
    log:
        "results/{study}/logs/etw_fig1/{model}/{split}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        samples=STUDY.figures.samples,
        label=STUDY.figures.label,
        k=8,
        prompt=section(STUDY.prompt),
        precision=STUDY.evaluation.precision,
    script:
        "../scripts/etw_fig1.py"


rule etw_bounds:
    input:
        tables=lambda wildcards: expand(
            TOKEN_TABLE, study=S, model=MODELS, split=wildcards.split
        ),
        folders=[starting_model_of(model) for model in MODELS],
        code=lib(
            "figures/etw_bounds",
            "figures/style",
            "analysis/bounds",
            "analysis/auc",
            "tokens/table",
        ),
    output:
        csv="results/{study}/etw_bounds/{split}.csv",
        png="results/{study}/etw_bounds/{split}.png",
        svg=report(
            "results/{study}/etw_bounds/{split}.svg",
            caption="../report/etw_bounds.rst",
            category="3 Tokens",
            labels={"figure": "entropy against confidence", "split": "{split}"},
        ),
        pdf="results/{study}/etw_bounds/{split}.pdf",
    log:
        "results/{study}/logs/etw_bounds/{split}.log",
    conda:
        "../../environment.yml"
    params:
        models=MODELS,
        label=STUDY.figures.label,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_bounds.py"


rule etw_memorisation:
    input:
        epochs=expand(
            "results/{study}/finetune/{model}/full/epochs.parquet",
            study=S,
            model=TRAINED,
        ),
        tables=lambda wildcards: expand(
            TOKEN_TABLE, study=S, model=TRAINED, split=wildcards.split
        ),
        code=lib(
            "figures/etw_memorisation",
            "figures/style",
            "analysis/memorisation",
            "analysis/curves",
            "tables/render",
            "methods/contract",
            "analysis/auc",
            "tokens/table",
            "training/unlearn",
            "weightings/entropy",
            *sorted(
                {f"weightings/{weighting_name(m)}" for m in STUDY.methods.values()}
                - {"weightings/entropy"}
            ),
        ),
    output:
        csv=report(
            "results/{study}/etw_memorisation/{split}.csv",
            caption="../report/etw_memorisation.rst",
            category="3 Tokens",
            labels={"table": "AUC by epoch and temperature", "split": "{split}"},
        ),
        png="results/{study}/etw_memorisation/{split}.png",
        svg=report(
            "results/{study}/etw_memorisation/{split}.svg",
            caption="../report/etw_memorisation.rst",
            category="3 Tokens",
            labels={"figure": "AUC while memorising", "split": "{split}"},
        ),
        pdf="results/{study}/etw_memorisation/{split}.pdf",
    log:
        "results/{study}/logs/etw_memorisation/{split}.log",
    conda:
        "../../environment.yml"
    params:
        models=TRAINED,
        labels=list(STUDY.labels),
        label=STUDY.figures.label,
        methods={name: section(method) for name, method in STUDY.methods.items()},
        left_out=left_out(STUDY.methods, STUDY.finetune_temperatures),
        temperatures=STUDY.finetune_temperatures,
        bootstrap=STUDY.figures.bootstrap,
        cluster=STUDY.figures.cluster,
        eos=STUDY.figures.eos,
        seed=STUDY.seed,
    script:
        "../scripts/etw_memorisation.py"


ETW += [
    *expand(
        "results/{study}/etw_fig1/{model}/{split}.svg",
        study=S,
        model=MODELS,
        split=SPLITS,
    ),
    *expand("results/{study}/etw_bounds/{split}.svg", study=S, split=SPLITS),
]
# Nothing is followed where no model is fine-tuned here.
if TRAINED:
    ETW += expand("results/{study}/etw_memorisation/{split}.svg", study=S, split=SPLITS)
