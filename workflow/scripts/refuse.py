from lethe.benchmarks.prepared import read_data
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.config import PromptConfig
from lethe.io import write_table
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
forget = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
rows = refuse(forget, read_lines(params.lines), params.seed)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model.config))
dtype = autocast_dtype(params.precision, device)
scored = score_table(models.place(model, device, dtype), encoder, rows, token_table(encoder, rows), [], dtype)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
