"""From question and answer to token ids, with the answer's characters accounted for.

A sequence is `prompt + answer + one EOS`. Prompt and answer are tokenised apart, so no merge can cross the boundary and
the prompt that generation starts from is exactly the prefix of what was trained on. Only answer tokens and the EOS
bear loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2.exceptions import TemplateError

from lethe.benchmarks.records import Record
from lethe.config import PromptConfig
from lethe.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Example:
    """A tokenised row.

    Attributes:
        sample: id of the record.
        prompt: token ids of the prompt.
        answer: token ids that bear loss: the answer's, then EOS.
        spans: one (start, end) per entry of `answer`, character offsets into the answer. They tile it: the slices,
            joined, are the answer. A space belongs to the token after it; later pieces of a multi-byte character and
            the EOS have empty spans.
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

    def prompt(self, question: str) -> list[int]:
        """Token ids of the prompt of a question."""
        if self.tokenizer.chat_template is not None:
            return self.tokenizer(self._render(question), add_special_tokens=False)["input_ids"]
        text = f"{self.config.question}{question}{self.config.answer}"
        return self.tokenizer(text, add_special_tokens=self.tokenizer.bos_token_id is not None)["input_ids"]

    def answer(self, answer: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of an answer with EOS, and the character spans that tile it."""
        lead = 0 if self.tokenizer.chat_template is not None else 1  # the template's own space before the answer
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
        ids = [*encoded["input_ids"], self.tokenizer.eos_token_id]
        return ids, [*spans, (len(answer), len(answer))]

    def example(self, sample: str, question: str, answer: str) -> Example:
        """Tokenise one row; raises as `answers_to` does."""
        return self.answers_to(sample, question, [answer])[0]

    def answers_to(self, sample: str, question: str, answers: Iterable[str]) -> list[Example]:
        """Tokenise a question once, and each of its answers.

        Raises:
            InputError: for an answer without tokens, or a row longer than the limit; nothing is cut in silence.
        """
        prompt = self.prompt(question)
        return [self._example(sample, prompt, answer) for answer in answers]

    def _example(self, sample: str, prompt: list[int], answer: str) -> Example:
        ids, spans = self.answer(answer)
        if len(ids) == 1:
            raise InputError(f"sample {sample}: the answer {answer!r} has no tokens.")
        example = Example(sample, prompt, ids, spans)
        if len(example) > self.max_length:
            raise InputError(
                f"sample {sample}: {len(example)} tokens with prompt and answer, the limit is {self.max_length}; "
                "shorten the row, or raise `prompt.max_length` and the model's context."
            )
        return example

    def examples(self, records: Iterable[Record]) -> list[Example]:
        """Question and answer of each record."""
        return [self.example(r.id, r.question, r.answer) for r in records]


def encoder_of(folder: str, config: PromptConfig) -> Encoder:
    """Encoder of a stored model, without its weights."""
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoConfig.from_pretrained(folder, local_files_only=True)
    return Encoder(tokenizer, config, model.get_text_config().max_position_embeddings)
