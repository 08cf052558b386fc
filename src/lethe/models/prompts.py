"""From question and answer to token ids, with the answer's characters accounted for.

A sequence is `prompt + answer + one EOS`. Prompt and answer are tokenised apart, so no merge can cross the boundary and
the prompt that generation starts from is exactly the prefix of what was trained on. Only answer tokens and the EOS
bear loss.

Free text (a row without a prompt, a probe in style `plain`) has no template around it and goes into the model as it
stands: after the start token where the tokenizer has one; otherwise its first token, which nothing predicts, serves as
the prompt and bears no loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jinja2.exceptions import TemplateError

from lethe.benchmarks.contract import Probe, Row
from lethe.config import PromptConfig
from lethe.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Style = Literal["chat", "plain"]


@dataclass(frozen=True)
class Example:
    """A tokenised row.

    Attributes:
        sample: id of the row or probe.
        prompt: token ids of the prompt.
        answer: token ids that bear loss: the answer's, then EOS.
        spans: one (start, end) per entry of `answer`, character offsets into the answer. They tile it: the slices,
            joined, are the answer. A space belongs to the token after it; later pieces of a multi-byte character and
            the EOS have empty spans. Of free text, they begin after what serves as the prompt.
    """

    sample: str
    prompt: list[int]
    answer: list[int]
    spans: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class Encoder:
    """Turns text into `Example`s for one tokenizer.

    Raises:
        InputError: for a tokenizer without character offsets or EOS, or a chat template that does not put the answer
            right after its generation prompt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PromptConfig, context: int):
        if not tokenizer.is_fast:
            raise InputError(f"tokenizer {type(tokenizer).__name__} gives no character offsets; use its fast version.")
        if tokenizer.eos_token_id is None:
            raise InputError("the tokenizer has no EOS token; set `eos_token` in its tokenizer_config.json.")
        self.tokenizer = tokenizer
        self.config = config
        self.max_length = min(config.max_length, context)
        if tokenizer.chat_template is not None:
            try:
                probe = self._render("Q", "A probe.")
            except TemplateError as error:
                raise InputError(
                    f"the chat template refuses a conversation ({error}); if it knows no system role, set "
                    "`prompt.system: null`."
                ) from error
            if not probe.startswith(self._render("Q") + "A probe."):
                raise InputError(
                    "the chat template does not put the assistant's answer right after its generation prompt; "
                    "give the tokenizer a template that does."
                )

    def _render(self, question: str, answer: str | None = None) -> str:
        messages = [{"role": "user", "content": question}]
        if self.config.system is not None:
            messages.insert(0, {"role": "system", "content": self.config.system})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        return self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=answer is None, date_string=self.config.date
        )

    def prompt(self, question: str, style: Style = "chat") -> list[int]:
        """Token ids of the prompt of a question, or of text that is to be continued."""
        if style == "plain":
            return [*self._start, *self.tokenizer(question, add_special_tokens=False)["input_ids"]]
        if self.tokenizer.chat_template is not None:
            return self.tokenizer(self._render(question), add_special_tokens=False)["input_ids"]
        text = f"{self.config.question}{question}{self.config.answer}"
        return self.tokenizer(text, add_special_tokens=self.tokenizer.bos_token_id is not None)["input_ids"]

    def answer(self, answer: str, style: Style = "chat") -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of an answer with EOS, and the character spans that tile it; in style `plain` without EOS."""
        # The template's own space before the answer.
        lead = 0 if style == "plain" or self.tokenizer.chat_template is not None else 1
        encoded = self.tokenizer(
            " " * lead + answer,
            add_special_tokens=False,
            split_special_tokens=True,  # "<eos>" in an answer is text; only the end is an end token
            return_offsets_mapping=True,
        )
        spans, covered = [], 0
        for _, end in encoded["offset_mapping"]:
            end = max(covered, min(end - lead, len(answer)))
            spans.append((covered, end))
            covered = end
        if spans and covered < len(answer):  # trailing space that the tokenizer's offsets leave out
            spans[-1] = (spans[-1][0], len(answer))
        if style == "plain":
            return encoded["input_ids"], spans
        ids = [*encoded["input_ids"], self.tokenizer.eos_token_id]
        return ids, [*spans, (len(answer), len(answer))]

    def example(self, row: Row) -> Example:
        """Tokenise a row; raises as `continuations` does."""
        if row.prompt is not None:
            return self._checked(row.id, row.answer, Example(row.id, self.prompt(row.prompt), *self.answer(row.answer)))
        ids, spans = self.answer(row.answer, "plain")
        end = len(row.answer)
        example = Example(row.id, self._start, [*ids, self.tokenizer.eos_token_id], [*spans, (end, end)])
        return self._checked(row.id, row.answer, _with_prompt(example))

    def examples(self, rows: Iterable[Row]) -> list[Example]:
        """Each of the rows."""
        return [self.example(row) for row in rows]

    def continuations(self, probe: Probe) -> list[Example]:
        """Tokenise a probe's prompt once, and each of the texts that are scored after it.

        Raises:
            InputError: for a text without tokens, or a row longer than the limit; nothing is cut in silence.
        """
        prompt = self.prompt(probe.prompt, probe.style)
        return [
            self._checked(probe.id, text, _with_prompt(Example(probe.id, prompt, *self.answer(text, probe.style))))
            for _, text in probe.score
        ]

    @property
    def _start(self) -> list[int]:
        bos = self.tokenizer.bos_token_id
        return [] if bos is None else [bos]

    def _checked(self, sample: str, text: str, example: Example) -> Example:
        ends = example.answer[-1:] == [self.tokenizer.eos_token_id]
        if len(example.answer) == ends:
            raise InputError(f"sample {sample}: the answer {text!r} has no tokens.")
        if len(example) > self.max_length:
            raise InputError(
                f"sample {sample}: {len(example)} tokens with prompt and answer, the limit is {self.max_length}; "
                "shorten the row, or raise `prompt.max_length` and the model's context."
            )
        return example


def _with_prompt(example: Example) -> Example:
    """The example, with its first token as the prompt if it has none: nothing predicts a text's first token."""
    if example.prompt:
        return example
    return Example(example.sample, example.answer[:1], example.answer[1:], example.spans[1:])


def encoder_of(folder: str, config: PromptConfig) -> Encoder:
    """Encoder of a stored model, without its weights."""
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoConfig.from_pretrained(folder, local_files_only=True)
    return Encoder(tokenizer, config, model.get_text_config().max_position_embeddings)
