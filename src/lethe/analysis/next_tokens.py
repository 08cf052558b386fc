"""What the model expects at each place of one answer: the likeliest next tokens, with the entropy over all of them.

Data of ETW's motivating figure (arXiv 2604.17785, Fig. 1): where only one word fits the entropy is low, where a fact
comes it is high. The token table holds entropies but no distributions, so this takes a forward pass of its own.
"""

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lethe.benchmarks.contract import Row
from lethe.methods.kernel import chunk_rows
from lethe.methods.logits import entropy_of, log_softmax
from lethe.models.device import autocast
from lethe.models.prompts import Encoder
from lethe.models.states import head_weight, hidden_states


@torch.inference_mode()
def next_tokens(
    model: PreTrainedModel, encoder: Encoder, row: Row, k: int, dtype: torch.dtype | None = None
) -> pd.DataFrame:
    """The k likeliest tokens at every position of a row's answer, teacher-forced, T = 1.

    Args:
        model: in eval mode, on the device to use.
        encoder: of the model's tokenizer.
        row: prompt and answer.
        k: tokens per position, at most the vocabulary.
        dtype: autocast of the model's body; logits and softmax are fp32.

    Returns:
        One row per (position, rank), in this order: sample, position (from 0 within the answer, EOS last), gold_text
        (slice of the answer; empty for EOS), rank (from 1), token_id, text (see `token_text`), probability, gold,
        entropy (nats, over the whole vocabulary). A gold token that is not among the k follows them with its own rank.
    """
    example = encoder.example(row)
    device = next(model.parameters()).device
    ids = torch.tensor([[*example.prompt, *example.answer]], device=device)
    with autocast(device, dtype):
        hidden, _ = hidden_states(model, ids)
    hidden = hidden[0, len(example.prompt) - 1 : -1].float()
    head = head_weight(model).float()
    rows = []
    for start in range(0, len(hidden), chunk := chunk_rows(len(head))):
        log_p = log_softmax(hidden[start : start + chunk] @ head.T)  # [c, V]
        entropies = entropy_of(log_p)
        values, tokens = log_p.topk(min(k, len(head)), dim=-1)
        for i, entropy in enumerate(entropies.tolist()):
            position = start + i
            gold, (first, last) = example.answer[position], example.spans[position]
            found = [
                (rank, token, value)
                for rank, (token, value) in enumerate(zip(tokens[i].tolist(), values[i].tolist(), strict=True), 1)
            ]
            if gold not in tokens[i]:
                own = log_p[i, gold]
                found.append((max(int((log_p[i] > own).sum()), len(found)) + 1, gold, own.item()))
            rows += [
                (row.id, position, row.answer[first:last], rank, token, value, token == gold, entropy)
                for rank, token, value in found
            ]
    columns = ["sample", "position", "gold_text", "rank", "token_id", "probability", "gold", "entropy"]
    table = pd.DataFrame(rows, columns=columns)
    table["probability"] = torch.tensor(table["probability"].to_numpy()).exp().numpy()
    table.insert(5, "text", [token_text(encoder.tokenizer, token) for token in table["token_id"]])
    return table


def token_text(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    """Text of one token alone, leading space included.

    A token that is a piece of a multi-byte character has no text; it is named as the tokenizer's own table does.
    """
    piece = tokenizer.convert_ids_to_tokens(token)
    if piece is None:  # the output layer may be wider than the tokenizer
        return f"<{token}>"
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    if "\ufffd" in text or not text:
        return piece
    # SentencePiece strips the space of a text's first token.
    return f" {text}" if piece.startswith("▁") and not text.startswith(" ") else text
