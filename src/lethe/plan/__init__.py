"""The study as a graph: what is run, where results lie, which code decides them. No model library is loaded here.

The workflow's rules ask a `Plan` for their inputs and parameters; what it says can be tested without Snakemake.

    base, checkpoint, finetune   starting model (`full`) and, where the benchmark has one, a retain model per split
    tokens, annotate, …, weigh   stages of the token table, see `lethe.plan.stages`
    search                       all trials of a swept method, and the configuration that is chosen
    unlearn                      one run: (model, split, method, seed), trained and measured in one process
    measure                      reference models, and kept models whose measurement is out of date
    evaluate, trajectory         every metric of every run, at its end and by epoch

Names and paths are in `paths`, what rules read and are told in `rules`, the same for figures and tables in `drawn`;
`closure` computes which files of the package decide a rule's results.
"""
