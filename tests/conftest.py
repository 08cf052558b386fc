"""Shared fixtures: a benchmark of a few rows and a model small enough to train in a second.

All are made once per session and must not be changed by a test: one that trains works on `copy.deepcopy(tiny[0])`.
"""

import copy

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from lethe.benchmarks.fictional import Fictional, FictionalConfig, fictional
from lethe.config import GoldLabels, PromptConfig, ScratchConfig
from lethe.methods.contract import TokenBatch, Weigher
from lethe.models.prompts import Encoder
from lethe.models.sources import context_length, scratch
from lethe.tokens.annotate import annotate
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

torch.set_num_threads(1)


FICTIONAL = FictionalConfig(name="fictional", authors=12, facts=4, holdout_authors=1, world_authors=4)


@pytest.fixture(scope="session")
def data():
    """Fictional benchmark, seed 0: 12 authors × 4 facts, forget10 is the last author's 4 rows."""
    return Fictional().load(FICTIONAL, seed=0)


@pytest.fixture(scope="session")
def records():
    """What `data` is made of, in the form of TOFU."""
    return fictional(FICTIONAL, seed=0)


@pytest.fixture(scope="session")
def tiny(data):
    """(model, tokenizer): an untrained fp32 Llama, hidden 32, 2 layers, 300 words, context 192, in eval mode."""
    config = ScratchConfig(source="scratch", hidden_size=32, layers=2, heads=2, vocabulary=300, context=192)
    model, tokenizer = scratch(config, list(data.world), PromptConfig(), seed=0)
    return model.eval(), tokenizer


@pytest.fixture(scope="session")
def encoder(tiny):
    """Encoder of the tiny model's tokenizer with the default prompt."""
    model, tokenizer = tiny
    return Encoder(tokenizer, PromptConfig(), context_length(model.config))


@pytest.fixture(scope="session")
def sharp(tiny):
    """The tiny model with a head 20 times as large: an untrained one predicts all tokens alike, with one entropy."""
    model = copy.deepcopy(tiny[0])
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)
    return model


@pytest.fixture(scope="session")
def scored(data, sharp, encoder):
    """Token table of forget10 under `sharp`: logprob, entropy_T1.0, entropy_T2.0, informative_gold."""
    rows = data.forget("forget10")
    table = annotate(token_table(encoder, rows), data, {"gold": GoldLabels(source="gold")})
    return score_table(sharp, encoder, rows, table, [1.0, 2.0], None)


class Listener(Weigher):
    """Passes on what a weigher gives, and remembers it."""

    def __init__(self, weigher: Weigher):
        self.weigher, self.heard = weigher, []

    def weights(self, batch: TokenBatch) -> torch.Tensor:
        self.heard.append(self.weigher.weights(batch))
        return self.heard[-1]


@pytest.fixture(scope="session")
def listen():
    """`task -> list` of the weights of every batch that the task will weigh."""

    def listen(task) -> list[torch.Tensor]:
        listener, begin = Listener(None), task.begin

        def begin_and_listen(context):
            begin(context)
            listener.weigher, task.weigher = task.weigher, listener

        task.begin = begin_and_listen
        return listener.heard

    return listen


@pytest.fixture(scope="session")
def fits_page():
    """Assert that a figure fits a page, that its text can be read there, and that nothing is cut off."""

    def check(figure: Figure) -> None:
        width, height = figure.get_size_inches()
        assert width <= 6.51
        assert height <= 11.5
        shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert min(text.get_fontsize() for text in shown) >= 7
        box = figure.get_tightbbox()  # inches, of all that is drawn
        assert min(box.x0, box.y0) >= -0.02
        assert box.x1 <= width + 0.02
        assert box.y1 <= height + 0.02

    return check


@pytest.fixture
def ranked_once(monkeypatch):
    """Scores that a module ranks while a function of it runs, in order: `ranked_once(module, run) -> names`."""

    def count(module, run) -> list[str]:
        seen, ranking = [], module.ranking
        monkeypatch.setattr(module, "ranking", lambda table, score: [seen.append(score), ranking(table, score)][1])
        run()
        return seen

    return count
