"""The training loop: what must not depend on batching or processes, what must depend on the seed, and its errors."""

import copy
import math
import mmap
import os
import pickle
import socket
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.multiprocessing
from scorer import LinearScore

import lethe.models.device
import lethe.training.loop
from lethe.config import LoraConfig, MethodConfig, TrainingConfig
from lethe.models.device import (
    CLEAR_REFS,
    autocast,
    autocast_dtype,
    choose_device,
    peak_mib,
    reset_peak,
    seed_everything,
)
from lethe.models.prompts import Example
from lethe.models.states import collate, head_weight
from lethe.training.loop import (
    Context,
    FineTuning,
    NonFiniteLoss,
    batches,
    epoch_order,
    learning_rate,
    make_optimizer,
    train,
)
from lethe.training.unlearn import Unlearning, retain_draws

CPU = torch.device("cpu")


def config(**changes) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "warmup_epochs": 0.0, **changes})


@pytest.fixture(scope="module")
def examples(data, encoder):
    """Twelve rows: the forget split's 4 last."""
    return encoder.examples(list(data.rows)[-12:])


def trained(model, examples, seed=0, task=FineTuning, **changes):
    """A trained copy of the model, and the log."""
    model = copy.deepcopy(model)
    log = train(model, task(examples), len(examples), config(**changes), seed, gpus=0)
    return model, log


def parameters(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --- data order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "batch_size", "world"), [(10, 4, 1), (10, 4, 2), (9, 4, 3), (5, 8, 2), (3, 2, 4)])
def test_every_row_once_per_epoch_over_all_processes(rows, batch_size, world):
    shares = [batches(rows, batch_size, 0, 1, rank, world) for rank in range(world)]
    assert {len(share) for share in shares} == {math.ceil(rows / batch_size)}  # as many steps on every process
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(rows))
    one = batches(rows, batch_size, 0, 1)
    for step, batch in enumerate(one):
        assert sorted(row for share in shares for row in share[step]) == sorted(batch)
        assert max(len(share[step]) for share in shares) - min(len(share[step]) for share in shares) <= 1


def test_order_depends_on_seed_and_epoch():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    np.testing.assert_array_equal(epoch_order(50, 3, 2), epoch_order(50, 3, 2))


def test_retain_draws_depend_on_seed_epoch_rank_and_step():
    start = {"seed": 0, "epoch": 0, "rank": 0, "step": 0}
    draws = {tuple(retain_draws(1000, **start, count=8))}
    for key in start:
        draws.add(tuple(retain_draws(1000, **{**start, key: 1}, count=8)))
    assert len(draws) == 5
    np.testing.assert_array_equal(retain_draws(1000, **start, count=8), retain_draws(1000, **start, count=8))


def test_retain_draws_are_distinct_while_they_can_be():
    assert sorted(retain_draws(8, 0, 0, 0, 0, 8)) == list(range(8))
    assert len(retain_draws(3, 0, 0, 0, 0, 8)) == 8


# --- batches of tokens --------------------------------------------------------------------------------------


def example(sample: str, prompt: list[int], answer: list[int]) -> Example:
    return Example(sample, prompt, answer, [(0, 0)] * len(answer))


def test_collate_lists_answer_tokens_and_pads_on_the_right():
    rows = [example("a", [5, 6, 7], [8, 9]), example("b", [1], [2, 3, 4, 0])]
    ids, sequence, position, targets = collate(rows, CPU)
    assert ids.tolist() == [[5, 6, 7, 8, 9], [1, 2, 3, 4, 0]]
    assert sequence.tolist() == [0, 0, 1, 1, 1, 1]
    assert position.tolist() == [2, 3, 0, 1, 2, 3]
    assert targets.tolist() == [8, 9, 2, 3, 4, 0]
    assert ids[sequence, position + 1].tolist() == targets.tolist()  # the token is one to the right of its predictor
    assert collate([*rows, example("c", [1], [1])], CPU)[0].shape == (3, 5)


def test_padding_does_not_reach_the_loss(tiny, examples):
    """One padded batch has the hidden states of rows run alone, although no attention mask is made."""
    model, _ = tiny
    rows = sorted(examples, key=len)[:: len(examples) - 1]  # the shortest and the longest
    assert len(rows[0]) < len(rows[1])
    with torch.no_grad():
        ids, sequence, position, _ = collate(rows, CPU)
        together = model.base_model(ids).last_hidden_state[sequence, position]
        ids, sequence, position, _ = collate(rows[:1], CPU)
        alone = model.base_model(ids).last_hidden_state[sequence, position]
    torch.testing.assert_close(together[: len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_micro_batches_hold_every_row_once_sorted_by_length(tiny, examples):
    context = Context(tiny[0], config(batch_size=8, micro_batch_size=3), gpus=0)
    rows = np.arange(8)
    parts = context.micro_batches(examples, rows)
    assert [len(part) for part in parts] == [3, 3, 2]
    lengths = [len(examples[row]) for part in parts for row in part]
    assert lengths == sorted(lengths)
    assert sorted(np.concatenate(parts)) == list(range(8))
    assert context.micro_batches(examples, rows[:0]) == []


# --- gradients ----------------------------------------------------------------------------------------------


def mean_loss(model, rows):
    """Mean negative log-likelihood of the answer tokens of all rows by plain transformers, one row at a time."""
    total, tokens = 0.0, 0
    for row in rows:
        logits = model(torch.tensor([row.prompt + row.answer])).logits[0]
        first = len(row.prompt) - 1
        log_p = logits[first : first + len(row.answer)].log_softmax(-1)
        total = total - log_p.gather(-1, torch.tensor(row.answer)[:, None]).sum()
        tokens += len(row.answer)
    return total / tokens


@pytest.mark.parametrize("micro_batch_size", [None, 1, 5])
def test_gradient_is_that_of_the_mean_over_all_tokens(tiny, examples, micro_batch_size):
    reference = copy.deepcopy(tiny[0])
    loss = mean_loss(reference, examples)
    loss.backward()
    model = copy.deepcopy(tiny[0])
    context = Context(model, config(batch_size=12, micro_batch_size=micro_batch_size), gpus=0)
    values = FineTuning(examples).backward(np.arange(12), context)
    assert values["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for found, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-3, atol=1e-6)


def test_gradient_accumulation_equals_one_big_batch(tiny, examples):
    """An average of micro-batch averages would differ: rows are of unequal length."""
    one, log = trained(tiny[0], examples, batch_size=6, epochs=3)
    for micro_batch_size in (1, 4):
        many, other = trained(tiny[0], examples, batch_size=6, epochs=3, micro_batch_size=micro_batch_size)
        torch.testing.assert_close(parameters(many), parameters(one), rtol=0, atol=2e-5)
        np.testing.assert_allclose(other["loss"], log["loss"], rtol=1e-5)
    assert (parameters(one) - parameters(tiny[0])).abs().max() > 1e-3


def test_gradients_are_clipped_and_the_norm_is_logged_before(tiny, examples):
    class Keep(FineTuning):
        model = None

        def backward(self, rows, context):
            Keep.model = context.model
            return super().backward(rows, context)

    _, log = trained(tiny[0], examples, task=Keep, batch_size=12, epochs=1, max_grad_norm=0.01)
    left = torch.stack([p.grad.norm() for p in Keep.model.parameters()]).norm().item()
    assert left == pytest.approx(0.01, rel=1e-3)
    assert log["gradient_norm"][0] > 0.05


# --- schedule and optimiser ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_learning_rate_values(schedule, expected):
    assert [learning_rate(step, 6, 2, schedule) for step in range(6)] == pytest.approx(expected)


def test_learning_rate_edges():
    assert learning_rate(0, 1, 0, "linear") == 1.0
    assert [learning_rate(step, 3, 3, "linear") for step in range(3)] == pytest.approx([1 / 3, 2 / 3, 1])
    with pytest.raises(ValueError, match="unknown schedule 'step'"):
        learning_rate(1, 2, 0, "step")


def test_matrices_decay_and_vectors_do_not(tiny):
    model = copy.deepcopy(tiny[0])
    frozen = next(p for p in model.parameters() if p.ndim < 2)
    frozen.requires_grad_(False)
    decayed, plain = make_optimizer(model, config(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim < 2 for p in plain["params"])
    grouped = [id(p) for p in decayed["params"] + plain["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p is not frozen)  # tied head once


def test_decay_pulls_matrices_and_leaves_norms(tiny, examples):
    class Flat(FineTuning):
        """A zero gradient: whatever moves is moved by weight decay."""

        def backward(self, rows, context):
            for p in context.model.parameters():
                p.grad = torch.zeros_like(p)
            return {"loss": 0.0}

    model, _ = trained(tiny[0], examples, task=Flat, epochs=1, batch_size=12, learning_rate=0.1, weight_decay=0.5)
    for before, after in zip(tiny[0].parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(after, before * (0.95 if before.ndim >= 2 else 1.0))


def test_the_scheduled_rate_reaches_the_optimiser(tiny, examples):
    class Steady(FineTuning):
        """A constant gradient, under which AdamW's step is the learning rate."""

        def __init__(self, examples):
            self.values, self.epochs = [], []

        def backward(self, rows, context):
            self.watched = next(p for p in context.model.parameters() if p.ndim < 2)
            self.watched.grad = torch.full_like(self.watched, 0.01)
            self.values.append(self.watched[0].item())
            self.epochs.append(context.epoch)
            return {"loss": 0.0}

    task = Steady(examples)
    log = train(copy.deepcopy(tiny[0]), task, 12, config(epochs=3, warmup_epochs=1.0), 0, gpus=0)
    values = [*task.values, task.watched[0].item()]
    np.testing.assert_allclose(-np.diff(values), log["learning_rate"], rtol=1e-3)
    assert task.epochs == log["epoch"].tolist()


# --- reproducibility ----------------------------------------------------------------------------------------


def test_same_seed_same_bits_other_seed_other_weights(tiny, examples):
    first, log = trained(tiny[0], examples, seed=0)
    again, other_log = trained(tiny[0], examples, seed=0)
    other, _ = trained(tiny[0], examples, seed=1)
    assert torch.equal(parameters(first), parameters(again))
    columns = ["step", "epoch", "loss", "gradient_norm", "learning_rate"]
    pd.testing.assert_frame_equal(log[columns], other_log[columns])
    assert not torch.equal(parameters(first), parameters(other))


def test_draws_within_training_depend_on_the_seed_only(tiny, examples):
    class Drawing(FineTuning):
        """As dropout or a noisy method would."""

        def backward(self, rows, context):
            values = super().backward(rows, context)
            return {**values, "draw": torch.rand(1).item()}

    draws = [trained(tiny[0], examples, seed, Drawing, epochs=1)[1]["draw"].tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_seed_everything_fixes_every_generator():
    def draws():
        seed_everything(5)
        import random

        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    assert draws() == draws()
    assert torch.are_deterministic_algorithms_enabled()


# --- log and errors -----------------------------------------------------------------------------------------


def test_log_has_one_row_per_step(tiny, examples):
    _, log = trained(tiny[0], examples[:10], epochs=3, batch_size=4, warmup_epochs=1.0)
    expected = ["step", "epoch", "loss", "gradient_norm", "learning_rate", "seconds", "peak_mib"]
    assert list(log.columns) == expected
    assert log["step"].tolist() == list(range(9))
    assert log["epoch"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    factors = [1 / 3, 2 / 3, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    np.testing.assert_allclose(log["learning_rate"], 1e-3 * np.array(factors))
    assert (log["seconds"] > 0).all()
    assert (log["peak_mib"] > 50).all()


def test_progress_reaches_the_log_file_where_there_is_no_terminal(tiny, examples, caplog):
    with caplog.at_level("INFO", logger="lethe.training.loop"):
        trained(tiny[0], examples, epochs=1)
    lines = [r.getMessage() for r in caplog.records if r.name == "lethe.training.loop"]
    assert lines[0] == "12 rows, 1 epochs of 3 steps, 1 processes"
    assert lines[-1].startswith("step 3/3 loss ")


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_non_finite_loss_stops_before_the_weights_are_touched(tiny, examples, fault):
    seen = {}

    class Faulty(FineTuning):
        def backward(self, rows, context):
            values = super().backward(rows, context)
            if context.step == 1:
                seen["before"], seen["model"] = parameters(context.model), context.model
                if fault == "loss":
                    return {"loss": float("nan")}
                next(context.model.parameters()).grad[0, 0] = float("inf")
            return values

    name = {"loss": "loss", "gradient": "gradient_norm"}[fault]
    with pytest.raises(NonFiniteLoss, match=rf"^{name} not finite at step 2 of 6 \(epoch 1\); .*learning_rate"):
        trained(tiny[0], examples, task=Faulty)
    assert torch.equal(parameters(seen["model"]), seen["before"])
    assert not torch.equal(seen["before"], parameters(tiny[0]))  # the first step was taken


# --- looking at the model while it trains -------------------------------------------------------------------


def test_at_epoch_is_called_before_the_first_step_and_after_each_epoch(tiny, examples):
    seen = []

    def look(context, epochs):
        assert context.model is model
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append((epochs, context.step, parameters(model)))

    class Trains(FineTuning):
        def backward(self, rows, context):
            assert context.model.training
            assert torch.is_grad_enabled()
            return super().backward(rows, context)

    model = copy.deepcopy(tiny[0])
    train(model, Trains(examples), len(examples), config(epochs=3), 0, gpus=0, at_epoch=look)
    assert [(epochs, step) for epochs, step, _ in seen] == [(0, 0), (1, 3), (2, 6), (3, 9)]
    assert torch.equal(seen[0][2], parameters(tiny[0]))
    assert torch.equal(seen[-1][2], parameters(model))
    assert not torch.equal(seen[1][2], seen[2][2])


def test_at_epoch_takes_no_time_of_the_steps(tiny, examples, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(lethe.training.loop, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    class Slow(FineTuning):
        def backward(self, rows, context):
            clock[0] += 2
            return super().backward(rows, context)

    def look(context, epochs):
        clock[0] += 100

    log = train(copy.deepcopy(tiny[0]), Slow(examples), 12, config(), 0, gpus=0, at_epoch=look)
    assert log["seconds"].tolist() == [2.0] * 6
    assert clock[0] == 312


def test_at_epoch_takes_no_memory_of_the_steps(tiny, examples, monkeypatch):
    """With a meter in place of the process's peak, which depends on what the allocator has kept."""
    meter = [7.0]
    monkeypatch.setattr(lethe.training.loop, "peak_mib", lambda device: meter[0])
    monkeypatch.setattr(lethe.training.loop, "reset_peak", lambda device: meter.__setitem__(0, 1.0))
    log = train(
        *(copy.deepcopy(tiny[0]), FineTuning(examples), 12, config(), 0),
        gpus=0,
        at_epoch=lambda context, epochs: meter.__setitem__(0, 500.0),
    )
    assert log["peak_mib"].tolist() == [1.0] * 6


def test_looking_changes_nothing(tiny, examples):
    """Bit for bit, for whoever looks by forward passes."""
    plain, log = trained(tiny[0], examples)
    model = copy.deepcopy(tiny[0])
    losses = []
    other = train(
        model,
        FineTuning(examples),
        len(examples),
        config(),
        0,
        gpus=0,
        at_epoch=lambda context, epochs: losses.append(mean_loss(context.model, examples).item()),
    )
    assert torch.equal(parameters(plain), parameters(model))
    pd.testing.assert_frame_equal(*(table.drop(columns=["seconds", "peak_mib"]) for table in (log, other)))
    assert losses[0] > losses[1] > losses[2]


def test_a_run_is_shared_out_among_the_processes(tiny, monkeypatch):
    context = Context(tiny[0], config(), gpus=0)
    assert context.share(5).tolist() == [0, 1, 2, 3, 4]
    assert context.gather([1, 2]) == [1, 2]
    monkeypatch.setattr(Context, "world", 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(Context, "rank", rank)
        shares.append(context.share(5).tolist())
    assert shares == [[0, 3], [1, 4], [2]]
    assert context.share(2).tolist() == []  # fewer rows than processes


def test_nan_in_the_model_is_found_at_the_first_step(tiny, examples):
    model = copy.deepcopy(tiny[0])
    with torch.no_grad():
        next(model.parameters())[examples[0].answer[0], 0] = float("nan")
    with pytest.raises(NonFiniteLoss, match="loss, gradient_norm not finite at step 1 of 6"):
        train(model, FineTuning(examples), len(examples), config(), 0, gpus=0)


# --- learning and forgetting --------------------------------------------------------------------------------


def answer_probability(model, examples) -> float:
    """exp(−mean loss) of each row, averaged."""
    with torch.no_grad():
        return float(np.mean([math.exp(-mean_loss(model, [row])) for row in examples]))


def test_fine_tuning_learns_and_unlearning_forgets(tiny, examples, scored):
    model, log = trained(tiny[0], examples, epochs=25, learning_rate=1e-2)
    assert log["loss"].iloc[-1] < 0.6 * log["loss"].iloc[0]
    assert not model.training
    before = answer_probability(model, examples[-4:])
    method = MethodConfig(weighting="uniform", objective="ascent", retain="nll")
    task = Unlearning(method, examples[-4:], examples[:-4], scored, seed=0, hidden_size=32)
    log = train(model, task, 4, config(epochs=10, learning_rate=1e-3), 0, gpus=0)
    assert answer_probability(model, examples[-4:]) < 0.5 * before
    assert list(log.columns) == [
        "step",
        "epoch",
        "loss_forget",
        "weight_mean",
        "weight_std",
        "loss_retain",
        "gradient_norm",
        "learning_rate",
        "seconds",
        "peak_mib",
    ]


def test_bfloat16_autocast_trains_fp32_master_weights(tiny, examples):
    plain, log = trained(tiny[0], examples, epochs=1)
    half, half_log = trained(tiny[0], examples, epochs=1, precision="bfloat16")
    assert all(p.dtype == torch.float32 for p in half.parameters())
    assert not torch.equal(parameters(plain), parameters(half))
    np.testing.assert_allclose(half_log["loss"], log["loss"], rtol=1e-2)


# --- device -------------------------------------------------------------------------------------------------


def test_no_gpu_granted_means_cpu(caplog):
    with caplog.at_level("INFO", logger="lethe.models.device"):
        assert choose_device(0) == CPU
    assert "device cpu (no GPU" in caplog.text


def test_precision():
    assert autocast_dtype("auto", CPU) is None
    assert autocast_dtype("float32", CPU) is None
    assert autocast_dtype("bfloat16", CPU) is torch.bfloat16
    x = torch.ones(2, 2)
    with autocast(CPU, None):
        assert (x @ x).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16


def test_peak_memory_is_in_mebibytes():
    assert 50 < peak_mib(CPU) < 100_000  # torch alone takes more than 50 MiB, a test run less than 100 GiB


@pytest.mark.skipif(not os.access(CLEAR_REFS, os.W_OK), reason="this system keeps a process's peak for good")
def test_peak_memory_starts_anew():
    reset_peak(CPU)  # an earlier test may have taken more
    before = peak_mib(CPU)
    block = mmap.mmap(-1, 300 * 2**20)  # from the system and back to it, past every allocator that keeps memory
    for _ in range(300):
        block.write(b"x" * 2**20)
    raised = peak_mib(CPU)
    block.close()
    reset_peak(CPU)
    assert raised > before + 200
    assert peak_mib(CPU) < raised - 200


def test_where_the_peak_cannot_be_reset_it_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(lethe.models.device, "CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    reset_peak(CPU)
    assert peak_mib(CPU) > 50


# --- several processes --------------------------------------------------------------------------------------

PROCESSES = 2


def runs(examples, scored):
    """(task, rows, config) by name. Five rows in batches of four: the second process has no row in an epoch's last
    step."""
    methods = {
        "unlearning": MethodConfig(weighting="entropy", objective="ascent", retain="none"),
        "unlearning by sequences": MethodConfig(weighting="confidence", objective="npo", retain="none"),
        "unlearning with a learner": MethodConfig(weighting=LinearScore(), objective="npo", retain="none"),
    }
    return {
        "fine-tuning": (FineTuning(examples[-5:]), 5, config()),
        "adapters": (FineTuning(examples[-5:]), 5, config(lora=LoraConfig(rank=4, frozen="float32"))),
    } | {
        name: (Unlearning(method, examples[-4:], [], scored, seed=0, hidden_size=32), 4, config(batch_size=3))
        for name, method in methods.items()
    }


def run_all(model, examples, scored) -> dict:
    """(parameters, log, weights of all forget tokens at each epoch) by name; parameters of a learned weighting too."""
    results = {}
    for name, (task, rows, settings) in runs(examples, scored).items():
        copied, recorded = copy.deepcopy(model), []

        def record(context, epochs, task=task, recorded=recorded):
            if isinstance(task, Unlearning):
                recorded.append(task.weights(context).sort_values(["sample", "position"], ignore_index=True))

        log = train(copied, task, rows, settings, 0, gpus=0, at_epoch=record)
        learned = [*task.weigher.state().values()] if isinstance(task, Unlearning) else []
        results[name] = (torch.cat([parameters(copied), *map(torch.flatten, learned)]), log, recorded)
    return results


def process(rank: int, port: int, folder: str) -> None:
    """One of several processes, as a launcher such as torchrun starts them."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(PROCESSES),
        LOCAL_WORLD_SIZE=str(PROCESSES),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )
    torch.set_num_threads(1)
    with open(f"{folder}/inputs", "rb") as file:
        model, examples, scored = pickle.load(file)
    results = run_all(model, examples, scored)
    with open(f"{folder}/rank{rank}", "wb") as file:
        pickle.dump(results, file)
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_give_the_weights_of_one(tiny, examples, scored, tmp_path):
    (tmp_path / "inputs").write_bytes(pickle.dumps((tiny[0], examples, scored)))
    started = torch.multiprocessing.spawn(process, (free_port(), str(tmp_path)), nprocs=PROCESSES, join=False)
    try:
        deadline = time.monotonic() + 120
        while not started.join(timeout=5):
            assert time.monotonic() < deadline, "the processes wait for each other"
    finally:
        for child in started.processes:
            child.kill()
    one = run_all(tiny[0], examples, scored)
    for rank in range(PROCESSES):
        many = pickle.loads((tmp_path / f"rank{rank}").read_bytes())
        for name, (weights, log, recorded) in many.items():
            torch.testing.assert_close(weights, one[name][0], rtol=0, atol=2e-5)
            for column in log.columns.drop(["seconds", "peak_mib"]):
                np.testing.assert_allclose(log[column], one[name][1][column], rtol=1e-4, atol=1e-5, err_msg=column)
            start = parameters(tiny[0])
            assert (weights[: len(start)] - start).abs().max() > 1e-3
            assert len(weights) - len(start) == (33 if "learner" in name else 0)
            assert not len(weights) > len(start) or weights[len(start) :].abs().min() > 1e-5  # all began at 0
            assert len(recorded) == (3 if name.startswith("unlearning") else 0)
            for found, expected in zip(recorded, one[name][2], strict=True):  # every token once, on every process
                pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-4)


def test_head_is_the_output_layer(tiny):
    assert head_weight(tiny[0]).shape == (tiny[0].config.vocab_size, tiny[0].config.hidden_size)
