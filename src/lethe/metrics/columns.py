"""Columns of what is measured: the two tables between running a model and computing its metrics."""

KEYS = ["set", "sample", "kind", "index"]
TOKEN_COLUMNS = [*KEYS, "position", "token_id", "logprob", "greedy", "mean_logprob", "std_logprob"]
GENERATION_COLUMNS = ["set", "sample", "generation"]
