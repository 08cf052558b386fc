# Figures. Rule, script, module and folder share a name; ids are those of ETW (arXiv 2604.17785).
localrules:
    etw_fig2,
    etw_fig3,
    etw_fig4,
    etw_fig6,
    training,


rule etw_fig6:
    input:
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        search=expand(
            "results/{study}/search/{model}/{split}/{method}/runs.parquet",
            study=S,
            model=MODELS,
            split=SPLITS,
            method=SWEPT,
        ),
        code=lib(
            "figures/etw_fig6",
            "figures/tradeoff",
            "figures/token_text",
            "figures/style",
            "evaluation/runs",
            "selection",
            "tables/main",
        ),
    output:
        png=f"results/{S}/etw_fig6/tradeoff.png",
        svg=report(
            f"results/{S}/etw_fig6/tradeoff.svg",
            caption="../report/etw_fig6.rst",
            category="2 Results",
            labels={"figure": "utility against forget quality"},
        ),
        pdf=f"results/{S}/etw_fig6/tradeoff.pdf",
    log:
        f"results/{S}/logs/etw_fig6.log",
    conda:
        "../../environment.yml"
    params:
        methods=METHODS,
        rule=STUDY.selection.rule,
    script:
        "../scripts/etw_fig6.py"


rule etw_fig2:
    input:
        tables=lambda wildcards: expand(
            TOKEN_TABLE, study=S, model=MODELS, split=wildcards.split
        ),
        correlations="results/{study}/etw_tab_correlation/{split}.csv",
        code=lib("figures/etw_fig2", "figures/style", "analysis/auc", "tokens/table"),
    output:
        png="results/{study}/etw_fig2/{split}.png",
        svg=report(
            "results/{study}/etw_fig2/{split}.svg",
            caption="../report/etw_fig2.rst",
            category="3 Tokens",
            labels={"figure": "ROC of token weights", "split": "{split}"},
        ),
        pdf="results/{study}/etw_fig2/{split}.pdf",
    log:
        "results/{study}/logs/etw_fig2/{split}.log",
    conda:
        "../../environment.yml"
    params:
        models=MODELS,
        labels=list(STUDY.labels),
        methods=METHODS,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_fig2.py"


rule etw_fig3:
    input:
        table=TOKEN_TABLE,
        code=lib("figures/etw_fig3", "figures/style", "analysis/auc", "tokens/table"),
    output:
        png="results/{study}/etw_fig3/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_fig3/{model}/{split}.svg",
            caption="../report/etw_fig3.rst",
            category="3 Tokens",
            labels={
                "figure": "histograms of token weights",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_fig3/{model}/{split}.pdf",
    log:
        "results/{study}/logs/etw_fig3/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=METHODS,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_fig3.py"


rule etw_fig4:
    input:
        table=TOKEN_TABLE,
        data="results/{study}/prepare/data.json",
        code=lib(
            "figures/etw_fig4",
            "figures/token_text",
            "figures/style",
            "tokens/shown_samples",
            "benchmarks/contract",
            "benchmarks/prepared",
        ),
    output:
        png="results/{study}/etw_fig4/{model}/{split}.png",
        svg=report(
            "results/{study}/etw_fig4/{model}/{split}.svg",
            caption="../report/etw_fig4.rst",
            category="3 Tokens",
            labels={
                "figure": "token heat-map",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/etw_fig4/{model}/{split}.pdf",
        html=report(
            "results/{study}/etw_fig4/{model}/{split}.html",
            caption="../report/etw_fig4.rst",
            category="3 Tokens",
            labels={
                "figure": "token heat-map (page)",
                "model": "{model}",
                "split": "{split}",
            },
        ),
    log:
        "results/{study}/logs/etw_fig4/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=METHODS,
        samples=STUDY.figures.samples,
    script:
        "../scripts/etw_fig4.py"


rule training:
    input:
        logs=lambda wildcards: expand(
            "results/{{study}}/unlearn/{{model}}/{{split}}/{run}/log.parquet", run=RUNS
        ),
        code=lib("figures/training", "figures/style", "evaluation/runs"),
    output:
        png="results/{study}/training/{model}/{split}.png",
        svg=report(
            "results/{study}/training/{model}/{split}.svg",
            caption="../report/training.rst",
            category="4 Runs",
            labels={
                "figure": "losses and weights by step",
                "model": "{model}",
                "split": "{split}",
            },
        ),
        pdf="results/{study}/training/{model}/{split}.pdf",
    log:
        "results/{study}/logs/training/{model}/{split}.log",
    conda:
        "../../environment.yml"
    params:
        methods=METHODS,
    script:
        "../scripts/training.py"


# The notebook is a rule too: it runs on every finished study, and its executed copy is a log.
rule explore_tokens:
    input:
        tables=expand(TOKEN_TABLE, study=S, model=MODELS, split=SPLITS),
        data=f"results/{S}/prepare/data.json",
        code=lib(
            "figures/etw_fig4",
            "figures/style",
            "figures/token_text",
            "analysis/auc",
            "tokens/shown_samples",
            "tokens/table",
        ),
    output:
        f"results/{S}/explore_tokens/pressed_tokens.csv",
    log:
        notebook=f"results/{S}/explore_tokens/tokens.ipynb",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=METHODS,
    notebook:
        "../../notebooks/tokens.ipynb"
