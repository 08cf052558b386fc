# More of ETW (arXiv 2604.17785): scores, probabilities, temperatures, weights and paths over the epochs.
localrules:
    etw_fig5,
    etw_fig7,
    etw_fig8,
    etw_fig9,
    etw_forms,
    etw_trajectories,


rule etw_fig5:
    input:
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        code=lib("figures/etw_fig5", "figures/style", "evaluation/runs", "tables/main"),
    output:
        png=f"results/{S}/etw_fig5/scores.png",
        svg=report(
            f"results/{S}/etw_fig5/scores.svg",
            caption="../report/etw_fig5.rst",
            category="2 Results",
            labels={"figure": "Agg. and privacy leakage"},
        ),
        pdf=f"results/{S}/etw_fig5/scores.pdf",
    log:
        f"results/{S}/logs/etw_fig5.log",
    conda:
        "../../environment.yml"
    params:
        methods=METHODS,
    script:
        "../scripts/etw_fig5.py"


rule etw_fig7:
    input:
        table=TOKEN_TABLE,
        full="results/{study}/measure/{model}/full/tokens.parquet",
        retain=lambda wildcards: (
            f"results/{S}/measure/{wildcards.model}/{retain_name(wildcards.split)}/tokens.parquet"
        ),
        runs=expand(
            "results/{{study}}/measure/{{model}}/{{split}}/{method}/seed{seed}/tokens.parquet",
            method=METHODS,
            seed=STUDY.seeds[0],
        ),
        code=lib(
            "figures/etw_fig7",
            "figures/etw_fig3",
            "figures/style",
            "analysis/auc",
            "tables/main",
            "tokens/table",
        ),
    output:
        weights_png="results/{study}/etw_fig7/{model}/{split}.weights.png",
        weights_svg=report(
            "results/{study}/etw_fig7/{model}/{split}.weights.svg",
            caption="../report/etw_fig7.rst",
            category="3 Tokens",
            labels={
                "figure": "histograms of token weights (more methods)",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        weights_pdf="results/{study}/etw_fig7/{model}/{split}.weights.pdf",
        probabilities_png="results/{study}/etw_fig7/{model}/{split}.probabilities.png",
        probabilities_svg=report(
            "results/{study}/etw_fig7/{model}/{split}.probabilities.svg",
            caption="../report/etw_fig7.rst",
            category="3 Tokens",
            labels={
                "figure": "token probabilities after unlearning",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        probabilities_pdf="results/{study}/etw_fig7/{model}/{split}.probabilities.pdf",
        distances=report(
            "results/{study}/etw_fig7/{model}/{split}.distances.csv",
            caption="../report/etw_fig7.rst",
            category="3 Tokens",
            labels={
                "figure": "token probabilities after unlearning (CSV)",
                "model": "{model}",
                "split": "{split}",
            },
        ),
    log:
        "results/{study}/logs/etw_fig7/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=METHODS,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_fig7.py"


rule etw_fig8:
    input:
        search=expand(
            "results/{{study}}/search/{model}/{split}/{{method}}/runs.parquet",
            model=MODELS,
            split=SPLITS,
        ),
        code=lib(
            "figures/etw_fig8",
            "figures/tradeoff",
            "figures/token_text",
            "figures/style",
            "evaluation/runs",
            "selection",
        ),
    output:
        png="results/{study}/etw_fig8/{method}.png",
        svg=report(
            "results/{study}/etw_fig8/{method}.svg",
            caption="../report/etw_fig8.rst",
            category="2 Results",
            labels={
                "figure": "quality and utility over the temperature",
                "method": "{method}",
            },
        ),
        pdf="results/{study}/etw_fig8/{method}.pdf",
    log:
        "results/{study}/logs/etw_fig8/{method}.log",
    conda:
        "../../environment.yml"
    params:
        rule=STUDY.selection.rule,
    script:
        "../scripts/etw_fig8.py"


rule etw_fig9:
    input:
        table=TOKEN_TABLE,
        data="results/{study}/prepare/data.json",
        weights=expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{method}/seed{seed}/weights.parquet",
            method=METHODS,
            seed=STUDY.seeds[0],
        ),
        code=lib(
            "figures/etw_fig9",
            "figures/token_text",
            "figures/style",
            "analysis/auc",
            "tokens/shown_samples",
            "tokens/table",
            "benchmarks/contract",
            "benchmarks/prepared",
        ),
    output:
        png="results/{study}/etw_fig9/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_fig9/{model}/{split}.svg",
            caption="../report/etw_fig9.rst",
            category="3 Tokens",
            labels={
                "figure": "token weights by epoch",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_fig9/{model}/{split}.pdf",
        tokens_png="results/{study}/etw_fig9/{model}/{split}.tokens.png",
        tokens_svg=report(
            "results/{study}/etw_fig9/{model}/{split}.tokens.svg",
            caption="../report/etw_fig9.rst",
            category="3 Tokens",
            labels={
                "figure": "token heat-map by epoch",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        tokens_pdf="results/{study}/etw_fig9/{model}/{split}.tokens.pdf",
    log:
        "results/{study}/logs/etw_fig9/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=METHODS,
        samples=STUDY.figures.samples,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_fig9.py"


rule etw_forms:
    input:
        search=expand(
            "results/{{study}}/search/{{model}}/{{split}}/{method}/runs.parquet",
            method=FORM_SWEEPS,
        ),
        code=lib(
            "figures/etw_forms",
            "figures/tradeoff",
            "figures/token_text",
            "figures/style",
            "evaluation/runs",
            "selection",
            "tables/main",
        ),
    output:
        png="results/{study}/etw_forms/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_forms/{model}/{split}.svg",
            caption="../report/etw_forms.rst",
            category="2 Results",
            labels={
                "figure": "functional forms: utility against forget quality",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_forms/{model}/{split}.pdf",
        csv=report(
            "results/{study}/etw_forms/{model}/{split}.csv",
            caption="../report/etw_forms.rst",
            category="2 Results",
            labels={
                "figure": "functional forms within a loss of utility (CSV)",
                "model": "{model}",
                "split": "{split}",
            },
        ),
    log:
        "results/{study}/logs/etw_forms/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        methods=METHODS,
        reference=[
            name
            for name in FORM_SWEEPS
            if weighting_name(STUDY.methods[name]) == "uniform"
        ],
    script:
        "../scripts/etw_forms.py"


rule etw_trajectories:
    input:
        runs="results/{study}/trajectory/{model}/{split}/runs.parquet",
        code=lib(
            "figures/etw_trajectories",
            "figures/tradeoff",
            "figures/token_text",
            "figures/style",
            "evaluation/runs",
            "selection",
            "tables/main",
            "metrics/__init__",
            "metrics/aggregate",
        ),
    output:
        png="results/{study}/etw_trajectories/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_trajectories/{model}/{split}.svg",
            caption="../report/etw_trajectories.rst",
            category="2 Results",
            labels={
                "figure": "utility and forget quality by epoch",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_trajectories/{model}/{split}.pdf",
        best_epochs=report(
            "results/{study}/etw_trajectories/{model}/{split}.best_epochs.csv",
            caption="../report/etw_trajectories.rst",
            category="2 Results",
            labels={
                "figure": "best epochs (CSV)",
                "model": "{model}",
                "split": "{split}",
            },
        ),
    log:
        "results/{study}/logs/etw_trajectories/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        methods=METHODS,
        utility=(
            "model_utility"
            if STUDY.evaluation.epoch_suite == "full"
            else "utility_teacher_forced"
        ),
        rule=STUDY.selection.rule,
    script:
        "../scripts/etw_trajectories.py"


ETW += [
    f"results/{S}/etw_fig5/scores.svg",
    *expand(
        "results/{study}/etw_fig7/{model}/{split}{part}.svg",
        study=S,
        model=MODELS,
        split=SPLITS,
        part=[".weights", ".probabilities"],
    ),
    *expand(
        "results/{study}/etw_fig8/{method}.svg", study=S, method=TEMPERATURE_SWEEPS
    ),
    *expand(
        "results/{study}/{figure}/{model}/{split}.svg",
        study=S,
        figure=["etw_fig9"]
        + ["etw_trajectories"] * bool(STUDY.evaluation.evaluate_every),
        model=MODELS,
        split=SPLITS,
    ),
]
# One form has nothing to be held against.
if len(FORM_SWEEPS) > 1:
    ETW += expand(
        "results/{study}/etw_forms/{model}/{split}.svg",
        study=S,
        model=MODELS,
        split=SPLITS,
    )
