# A rule for every figure and table that the study has, from their declarations in src/lethe/exhibits.py; one script.
for exhibit in drawn.exhibits(PLAN):

    rule:
        name:
            exhibit.name
        input:
            unpack(
                lambda wildcards, exhibit=exhibit: drawn.inputs(
                    PLAN, exhibit, dict(wildcards)
                )
            ),
        output:
            **{
                name: (
                    report(
                        f"results/{S}/{path}",
                        caption=f"../report/{exhibit.name}.rst",
                        category=exhibit.category,
                        labels={"result": title}
                        | {key: f"{{{key}}}" for key in exhibit.keys()},
                    )
                    if shown
                    else f"results/{S}/{path}"
                )
                for name, path, title, shown in exhibit.files()
            },
        log:
            f"results/{S}/logs/{exhibit.path()}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            **drawn.settings(PLAN, exhibit),
            place=lambda wildcards: dict(wildcards),
            places=lambda wildcards: drawn.places(PLAN, dict(wildcards)),
            stems=lambda wildcards, exhibit=exhibit: drawn.stems(
                PLAN, exhibit, dict(wildcards)
            ),
        script:
            "../scripts/exhibit.py"


# The notebook is a rule too: it runs on every finished study, and its executed copy is a log.
rule explore_tokens:
    input:
        tables=[PLAN.stage("weigh", *place) for place in PLAN.places()],
        data=PLAN.data(),
        code=PLAN.notebook_code("tokens"),
    output:
        f"results/{S}/explore_tokens/pressed_tokens.csv",
    log:
        notebook=f"results/{S}/explore_tokens/tokens.ipynb",
    conda:
        "../../environment.yml"
    params:
        label=STUDY.figures.label,
        methods=PLAN.methods,
    notebook:
        "../../notebooks/tokens.ipynb"
