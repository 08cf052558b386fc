# Tables of the ETW paper and of its reviewers. Rule, script and folder share a name.
localrules:
    etw_tab_agreement,
    etw_tab_correlation,
    etw_tab_cost,
    etw_tab_forms,
    etw_tab_information,
    etw_tab_main,
    etw_tab_reported,
    etw_tab_search,
    etw_tab_significance,


# Model and split of each path that expand() makes with (model=MODELS, split=SPLITS), in its order.
PLACES = [(model, split) for model in MODELS for split in SPLITS]
# What the searches chose, and from how many configurations.
CHOSEN = expand(
    "results/{study}/search/{model}/{split}/{method}/chosen.json",
    study=S,
    model=MODELS,
    split=SPLITS,
    method=SWEPT,
)
TRIED = {name: len(POINTS.get(name, [name])) for name in METHODS}
# The method that the significance table compares with the others.
TESTED = [m for m in METHODS if weighting_name(STUDY.methods[m]) == "entropy"][:1]


rule etw_tab_main:
    input:
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        chosen=CHOSEN,
        code=lib(
            "tables/main",
            "evaluation/chosen",
            "selection",
            "tables/render",
            "evaluation/runs",
            "metrics/__init__",
        ),
    output:
        csv=report(
            f"results/{S}/etw_tab_main/main.csv",
            caption="../report/etw_tab_main.rst",
            category="2 Results",
            labels={"table": "main table (CSV)"},
        ),
        md=f"results/{S}/etw_tab_main/main.md",
        tex=f"results/{S}/etw_tab_main/main.tex",
        html=report(
            f"results/{S}/etw_tab_main/main.html",
            caption="../report/etw_tab_main.rst",
            category="2 Results",
            labels={"table": "main table"},
        ),
        runs=f"results/{S}/etw_tab_main/runs.csv",
    log:
        f"results/{S}/logs/etw_tab_main.log",
    conda:
        "../../environment.yml"
    params:
        tried=TRIED,
    script:
        "../scripts/etw_tab_main.py"


rule etw_tab_correlation:
    input:
        tables=lambda wildcards: expand(
            TOKEN_TABLE, study=S, model=MODELS, split=wildcards.split
        ),
        code=lib(
            "tables/correlation",
            "tables/render",
            "analysis/auc",
            "tokens/table",
            "methods/contract",
            "weightings/spacy_nouns",
        ),
    output:
        **pages("results/{study}/etw_tab_correlation/{split}"),
        html=report(
            "results/{study}/etw_tab_correlation/{split}.html",
            caption="../report/etw_tab_correlation.rst",
            category="3 Tokens",
            labels={"table": "correlation with labels", "split": "{split}"},
        ),
    log:
        "results/{study}/logs/etw_tab_correlation/{split}.log",
    conda:
        "../../environment.yml"
    params:
        models=MODELS,
        labels=list(STUDY.labels),
        methods=METHODS,
        temperatures=STUDY.all_temperatures(),
        forms=[form.column for form in STUDY.all_forms()],
        bootstrap=STUDY.figures.bootstrap,
        cluster=STUDY.figures.cluster,
        eos=STUDY.figures.eos,
        seed=STUDY.seed,
    script:
        "../scripts/etw_tab_correlation.py"


rule etw_tab_agreement:
    input:
        tables=lambda wildcards: expand(
            TOKEN_TABLE, study=S, model=MODELS, split=wildcards.split
        ),
        code=lib("tables/agreement", "tables/render", "analysis/auc", "tokens/table"),
    output:
        **pages("results/{study}/etw_tab_agreement/{split}"),
        html=report(
            "results/{study}/etw_tab_agreement/{split}.html",
            caption="../report/etw_tab_agreement.rst",
            category="3 Tokens",
            labels={"table": "agreement of label sources", "split": "{split}"},
        ),
    log:
        "results/{study}/logs/etw_tab_agreement/{split}.log",
    conda:
        "../../environment.yml"
    params:
        models=MODELS,
        labels=list(STUDY.labels),
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_tab_agreement.py"


rule etw_tab_forms:
    input:
        tables=expand(TOKEN_TABLE, study=S, model=MODELS, split=SPLITS),
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        chosen=CHOSEN,
        code=lib(
            "tables/forms",
            "methods/forms",
            "tables/correlation",
            "evaluation/chosen",
            "selection",
            "tables/render",
            "methods/contract",
            "metrics/__init__",
            "evaluation/runs",
            "analysis/auc",
            "tables/main",
            "tokens/table",
            "weightings/entropy",
            "weightings/mutual_information",
            "weightings/raw_entropy",
            "weightings/raw_spread",
            "weightings/spread",
        ),
    output:
        **pages(f"results/{S}/etw_tab_forms/forms"),
        html=report(
            f"results/{S}/etw_tab_forms/forms.html",
            caption="../report/etw_tab_forms.rst",
            category="2 Results",
            labels={"table": "functional forms"},
        ),
    log:
        f"results/{S}/logs/etw_tab_forms.log",
    conda:
        "../../environment.yml"
    params:
        places=PLACES,
        labels=list(STUDY.labels),
        temperatures=STUDY.all_temperatures(),
        forms=[form.column for form in STUDY.all_forms()],
        methods={name: method_of(name) for name in METHODS},
        tried=TRIED,
        passes=(
            (STUDY.disturb or DisturbConfig()).passes
            if "disturb" in WEIGH_STAGES
            else None
        ),
        bootstrap=STUDY.figures.bootstrap,
        cluster=STUDY.figures.cluster,
        eos=STUDY.figures.eos,
        seed=STUDY.seed,
    script:
        "../scripts/etw_tab_forms.py"


rule etw_tab_information:
    input:
        code=lib(
            "information",
            "listing",
            "method",
            "forms",
            *sorted(
                {
                    f"{folder}/{part_name(section(method)[part])}"
                    for method in STUDY.methods.values()
                    for folder, part in [
                        ("weightings", "weighting"),
                        ("objectives", "objective"),
                        ("retain", "retain"),
                    ]
                }
            ),
        ),
    output:
        **pages(f"results/{S}/etw_tab_information/information"),
        html=report(
            f"results/{S}/etw_tab_information/information.html",
            caption="../report/etw_tab_information.rst",
            category="2 Results",
            labels={"table": "sources of information"},
        ),
    log:
        f"results/{S}/logs/etw_tab_information.log",
    conda:
        "../../environment.yml"
    params:
        methods={name: section(method) for name, method in STUDY.methods.items()},
    script:
        "../scripts/etw_tab_information.py"


rule etw_tab_cost:
    input:
        logs=expand(
            "results/{study}/unlearn/{model}/{split}/{run}/log.parquet",
            study=S,
            model=MODELS,
            split=SPLITS,
            run=RUNS,
        ),
        code=lib("tables/cost", "tables/render", "evaluation/runs"),
    output:
        **pages(f"results/{S}/etw_tab_cost/cost"),
        html=report(
            f"results/{S}/etw_tab_cost/cost.html",
            caption="../report/etw_tab_cost.rst",
            category="2 Results",
            labels={"table": "time and memory"},
        ),
    log:
        f"results/{S}/logs/etw_tab_cost.log",
    conda:
        "../../environment.yml"
    params:
        places=PLACES,
        runs=len(RUNS),
        baseline="GradDiff" if "GradDiff" in METHODS else METHODS[0],
    script:
        "../scripts/etw_tab_cost.py"


rule etw_tab_significance:
    input:
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        samples=expand(
            "results/{study}/evaluate/{model}/{split}/samples.parquet",
            study=S,
            model=MODELS,
            split=SPLITS,
        ),
        data=f"results/{S}/prepare/data.json",
        chosen=CHOSEN,
        code=lib(
            "tables/significance",
            "evaluation/chosen",
            "selection",
            "benchmarks/contract",
            "benchmarks/prepared",
            "tables/render",
            "metrics/__init__",
            "evaluation/runs",
            "analysis/auc",
            "tables/main",
        ),
    output:
        **pages(f"results/{S}/etw_tab_significance/seeds"),
        **pages(f"results/{S}/etw_tab_significance/samples", "samples_"),
        html=report(
            f"results/{S}/etw_tab_significance/seeds.html",
            caption="../report/etw_tab_significance.rst",
            category="2 Results",
            labels={"table": "significance over seeds"},
        ),
        samples_html=report(
            f"results/{S}/etw_tab_significance/samples.html",
            caption="../report/etw_tab_significance.rst",
            category="2 Results",
            labels={"table": "significance over samples"},
        ),
    log:
        f"results/{S}/logs/etw_tab_significance.log",
    conda:
        "../../environment.yml"
    params:
        places=PLACES,
        method=next(iter(TESTED), None),
        tried=TRIED,
        seeds=len(STUDY.seeds),
        bootstrap=STUDY.figures.bootstrap,
        seed=STUDY.seed,
    script:
        "../scripts/etw_tab_significance.py"


rule etw_tab_reported:
    input:
        tables=expand(TOKEN_TABLE, study=S, model=MODELS, split=SPLITS),
        runs=expand(RUNS_TABLE, study=S, model=MODELS, split=SPLITS),
        chosen=CHOSEN,
        code=lib(
            "tables/reported",
            "evaluation/chosen",
            "selection",
            "tables/render",
            "methods/contract",
            "metrics/__init__",
            "evaluation/runs",
            "analysis/auc",
            "tables/main",
            "tokens/table",
            "objectives/ascent",
            "retain/nll",
            "weightings/uniform",
        ),
    output:
        **pages(f"results/{S}/etw_tab_reported/reported"),
        html=report(
            f"results/{S}/etw_tab_reported/reported.html",
            caption="../report/etw_tab_reported.rst",
            category="2 Results",
            labels={"table": "reported numbers beside ours"},
        ),
    log:
        f"results/{S}/logs/etw_tab_reported.log",
    conda:
        "../../environment.yml"
    params:
        places=PLACES,
        labels=list(STUDY.labels),
        benchmark=section(STUDY.benchmark),
        models={name: section(model) for name, model in STUDY.models.items()},
        methods={name: section(method) for name, method in STUDY.methods.items()},
        evaluation=STUDY.evaluation.model_dump(
            mode="json", include={"limits", "max_new_tokens", "min_k"}
        ),
        prompt=section(STUDY.prompt),
        tried=TRIED,
        eos=STUDY.figures.eos,
    script:
        "../scripts/etw_tab_reported.py"


rule etw_tab_search:
    input:
        runs=expand(
            "results/{study}/search/{model}/{split}/{method}/runs.parquet",
            study=S,
            model=MODELS,
            split=SPLITS,
            method=SWEPT,
        ),
        code=lib(
            "tables/search",
            "selection",
            "tables/render",
            "metrics/__init__",
            "evaluation/runs",
            "tables/main",
        ),
    output:
        **pages(f"results/{S}/etw_tab_search/search"),
        html=report(
            f"results/{S}/etw_tab_search/search.html",
            caption="../report/etw_tab_search.rst",
            category="2 Results",
            labels={"table": "searches"},
        ),
    log:
        f"results/{S}/logs/etw_tab_search.log",
    conda:
        "../../environment.yml"
    params:
        rule=STUDY.selection.rule,
        seed=STUDY.selection.seed,
        seeds=STUDY.seeds,
    script:
        "../scripts/etw_tab_search.py"


ETW += [
    *expand(
        "results/{study}/{table}/{split}.csv",
        study=S,
        table=["etw_tab_correlation", "etw_tab_agreement"],
        split=SPLITS,
    ),
    f"results/{S}/etw_tab_forms/forms.csv",
    f"results/{S}/etw_tab_information/information.csv",
    f"results/{S}/etw_tab_cost/cost.csv",
    f"results/{S}/etw_tab_reported/reported.csv",
]
# A study without ETW has nothing to compare with, and one without a sweep no search.
if TESTED:
    ETW.append(f"results/{S}/etw_tab_significance/seeds.csv")
if SWEPT:
    ETW.append(f"results/{S}/etw_tab_search/search.csv")
