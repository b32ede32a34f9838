"""Will it fit: counted without torch, refused with the change that helps, listed for every model of the group."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

import pytest
from fake_gpu import Board, FakeBoards

from ohlora.config.compose import compose_config
from ohlora.config.paths import options
from ohlora.config.schema import Config
from ohlora.estimate import capacity as capacities
from ohlora.estimate.capacity import Capacity
from ohlora.estimate.fit import ERROR, Estimate, find_remedy
from ohlora.estimate.parts import sum_parts
from ohlora.estimate.shape import shape_of
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate

NAMED = [name for name in options("model") if name not in ("hub", "local")]
# Parameters as their authors or the hub count them.
PUBLISHED = {
    "gemma2-2b-it": 2_614_341_888,
    "koquality-polyglot-1.3b": 1_331_494_912,
    "gemma-ko-v01": 2_506_172_416,
    "polyglot-ko-1.3b": 1_331_810_304,
    "llama1b": 1_235_814_400,
    "koalpaca-korwkv-1.5b": 1_522_163_712,
    "finguai-chat-v1": 463_987_712,
    "kanana-1.5-2.1b-instruct": 2_086_984_704,
    "smollm2-135m-instruct": 134_515_008,
}
GPU = Capacity("cuda", 15 * 1024, "a card", "float16")


@cache
def config(*overrides: str) -> Config:
    return validate(compose_config(list(overrides)))


def on(there: Capacity, *overrides: str) -> Estimate:
    found = Plan(config(*overrides)).estimate_on(there)
    assert found
    return found


def test_the_group_holds_the_candidates() -> None:
    assert set(NAMED) >= {*PUBLISHED, "gemma3-270m", "gemma3-1b-it", "qwen3-0.6b"} and len(NAMED) == 12


@pytest.mark.parametrize("name", NAMED)
def test_facts_of_a_model_agree(name: str) -> None:
    """The shape gives the published number of parameters, and every fact is there."""
    model = config(f"model={name}").model
    shape = shape_of(model, None)
    assert shape and model.params_m == pytest.approx(shape.parameters / 1e6, abs=0.06)
    if name in PUBLISHED:
        assert shape.parameters == PUBLISHED[name]
    assert model.context and model.license and model.architecture and model.repo
    assert len(shape.targeted(model.lora_targets)) >= len(model.lora_targets)


def test_parts_of_a_known_case() -> None:
    """gemma-2-2b-it in 16 bit, rank 64: weights, adapter and AdamW are plain arithmetic."""
    parts = on(GPU, "model=gemma2-2b-it").phases["train"]
    adapter = 83_066_880  # r=64 on all seven projections of 26 layers
    assert parts["weights"] == pytest.approx(2_614_341_888 * 2 / 2**20)
    assert parts["adapter"] == parts["gradients"] == pytest.approx(adapter * 4 / 2**20)
    assert parts["optimizer"] == pytest.approx(adapter * 8 / 2**20)
    assert "libraries" not in parts and parts["cuda_context"] > 0


@pytest.mark.parametrize(
    ("change", "part", "less"),
    [
        ("lora.quantization=nf4", "weights", True),
        ("lora=r16", "adapter", True),
        ("trainer.optimizer=adamw_8bit", "optimizer", True),
        ("trainer.gradient_checkpointing=standard", "activations", True),
        ("trainer.batch_size=8", "activations", False),
        ("model.attention=eager", "activations", False),
        ("lora=dora", "adapter", False),
    ],
)
def test_each_setting_moves_its_part(change: str, part: str, less: bool) -> None:
    before, after = on(GPU).phases["train"][part], on(GPU, change).phases["train"][part]
    assert after < before if less else after > before


def test_all_logits_at_once_cost_more_than_a_chunk_of_them() -> None:
    chunked, whole = on(GPU, "trainer.batch_size=8"), on(GPU, "trainer.batch_size=8", "trainer.loss=nll")
    assert whole.phases["train"]["logits"] > 2 * chunked.phases["train"]["logits"]


def test_a_cpu_has_no_8_bit_adamw() -> None:
    cpu = Capacity("cpu", 8 * 1024, "a machine", "bfloat16")
    plain, packed = on(cpu), on(cpu, "trainer.optimizer=adamw_8bit")
    assert plain.phases["train"]["optimizer"] == packed.phases["train"]["optimizer"]


def test_rows_of_many_lengths_hold_the_heap() -> None:
    """On a CPU, where the C library's heap counts; torch's own allocator on a GPU is another matter."""
    cpu = Capacity("cpu", 8 * 1024, "a machine", "bfloat16")
    parts = on(cpu).phases["train"]  # the shipped rows differ in length
    assert parts["heap"] == parts["activations"] > 0 and "heap" not in on(GPU).phases["train"]


def test_the_measured_peak_leaves_out_the_drivers_context() -> None:
    parts = on(GPU).phases["infer"]
    assert sum_parts(parts) == pytest.approx(sum(parts.values()) - parts["cuda_context"])


def test_what_is_only_a_bound_refuses_nothing() -> None:
    """No term says what Unsloth's kernels save on a GPU, so it may fit where this says that it does not."""
    small = replace(GPU, mib=1024)
    assert on(small, "model=gemma2-2b-it").verdict == "too large"
    assert on(small, "model=gemma2-2b-it", "backend=unsloth").verdict == "tight"


def test_a_target_by_its_longer_name_counts() -> None:
    short, longer = on(GPU, "lora.targets=[q_proj]"), on(GPU, "lora.targets=[self_attn.q_proj]")
    assert short.phases["train"]["adapter"] == longer.phases["train"]["adapter"] > 0


@pytest.mark.parametrize(("share", "verdict"), [(0.8, "too large"), (0.9, "tight"), (1.1, "tight"), (1.3, "fits")])
def test_verdicts_allow_for_the_error(share: float, verdict: str) -> None:
    found = on(GPU)
    assert replace(found, there=replace(GPU, mib=found.needed * share)).verdict == verdict
    assert replace(found, there=replace(GPU, mib=None)).verdict == "unknown"
    assert ERROR == 0.15


def test_a_refusal_says_what_would_help(ohlora, tmp_path) -> None:
    refused = ohlora("device=cuda", "device_memory_gib=5", "model=gemma2-2b-it", "trainer.batch_size=16")
    assert refused.code == 2 and refused.err.count("error: ") == 1
    for part in ("gemma2-2b-it: fine-tuning needs about", "weights 4,986", "available: 5,120 MiB", "would make it fit"):
        assert part in refused.err
    assert "lora.quantization=nf4" in refused.err and "preflight=warn" in refused.err
    assert not (tmp_path / "outputs").exists()


def test_the_change_that_is_named_does_fit() -> None:
    refused = config("model=gemma2-2b-it", "device=cuda", "device_memory_gib=5.5", "trainer.batch_size=16")
    problem = Plan(refused).fit_problem
    assert problem and problem.stops
    named = problem.text.split("; ")[1].split(" would")[0].split(" may just")[0].split()
    helped = on(replace(GPU, mib=5.5 * 1024), "model=gemma2-2b-it", "trainer.batch_size=16", *named)
    assert helped.verdict in ("fits", "tight")


def test_nothing_helps_but_a_smaller_model() -> None:
    problem = Plan(config("model=gemma2-2b-it", "device=cuda", "device_memory_gib=1.8")).fit_problem
    assert problem and "no setting of this run would make it fit" in problem.text
    assert "model=" in problem.text.split("MiB);")[1]


def test_stop_warn_and_off(capsys) -> None:
    from ohlora.errors import UserError
    from ohlora.running.preflight import check

    with pytest.raises(UserError, match="needs about"):
        check(Plan(config("device_memory_gib=1")))
    check(Plan(config("device_memory_gib=1")), alone=False)  # among others it is a row, not a refusal
    assert capsys.readouterr().err == ""
    check(Plan(config("device_memory_gib=1", "preflight=warn")))
    assert "warning: gemma3-270m: fine-tuning needs about" in capsys.readouterr().err
    check(Plan(config("device_memory_gib=1", "preflight=off")))
    assert capsys.readouterr().err == ""


def test_estimate_lists_every_model_without_weights(ohlora, tmp_path) -> None:
    ran = ohlora("task=estimate", "device=cuda", "device_memory_gib=6", "model=smollm2-135m-instruct")
    assert ran.code == 0, ran.err
    for name in NAMED:
        assert f"| {name} | " in ran.out
    assert "| gemma2-2b-it | 2,614 | " in ran.out and "too large |" in ran.out and "fits |" in ran.out
    assert "guessed from the text" in ran.out and not (tmp_path / "outputs").exists()
    assert ohlora("task=estimate", "device_memory_gib=1").code == 2


def test_an_estimate_tells_of_a_column_that_is_not_there(ohlora, tmp_path) -> None:
    (tmp_path / "mine.csv").write_text("question,response\nq,a\n")
    ran = ohlora("task=estimate", "data=csv", "data.path=mine.csv", "data.columns.response=answer")
    assert (
        ran.code == 2
        and "data.columns.response=answer: mine.csv has no such column; it has question, response" in ran.err
    )


def test_an_unknown_shape_is_said(ohlora) -> None:
    ran = ohlora("task=estimate", "model=hub", "model.repo=someone/something")
    assert ran.code == 2 and "its shape is unknown" in ran.err


def test_a_gpu_is_asked_through_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that cannot do bfloat16, and the one that device=cuda:1 chooses."""
    t4 = Board("GPU-t4", "Tesla T4", (7, 5), total=15 * 1024, free=14 * 1024)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", FakeBoards([t4, Board("GPU-a100")]))
    assert Plan(config("device=cuda:1")).capacity.said == "NVIDIA A100: 39,000 MiB free of 40,000"
    found = Plan(config()).capacity
    assert (found.device, found.mib, found.dtype) == ("cuda", 14 * 1024, "float16")
    assert found.said == "Tesla T4: 14,336 MiB free of 15,360"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Plan(config()).capacity.device == "cpu"


def test_a_control_group_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of its limit, not the limit: another run in the same container holds 2 of 3 GiB."""
    monkeypatch.setattr(capacities, "limit_bytes", lambda folder: 3 * 2**30)
    monkeypatch.setattr(capacities, "free_bytes", lambda folder: 2**30)
    found = Plan(config("device=cpu")).capacity
    assert found.mib == 1024
    assert found.said == "1,024 MiB left of the 3,072 that the control group allows"


@pytest.mark.parametrize(
    "change",
    [
        "trainer.batch_size=8 trainer.gradient_accumulation=2",
        "trainer.batch_size=2 trainer.gradient_accumulation=8",
    ],
)
def test_the_largest_batch_that_fits_is_named(change: str) -> None:
    asked = ("trainer=sft", "trainer.batch_size=16", "trainer.gradient_checkpointing=standard")
    plenty = Capacity("cpu", 2**20, "some memory", "bfloat16")
    there = replace(plenty, mib=on(plenty, *asked, *change.split()).needed * (1 + ERROR) + 1)
    remedy = find_remedy(on(there, *asked), config(*asked).trainer, [])
    assert remedy.startswith(f"{change} would make it")


def test_a_smaller_batch_of_prompts_is_named() -> None:
    asked = ("task=infer", "adapter=outputs/some", "generation=natural", "model=gemma2-2b-it", "model.dtype=float32")
    needed = on(Capacity("cpu", 2**20, "", "float32"), *asked).needed
    found = on(Capacity("cpu", needed * (1 + ERROR) - 1, "", "float32"), *asked)
    assert find_remedy(found, config(*asked).trainer, []).startswith("generation.batch=5 would make it")


def test_recomputation_is_chosen_by_the_estimate() -> None:
    asked = ("trainer=sft", "trainer.gradient_checkpointing=auto")
    roomy, small = (Capacity("cpu", gib * 1024, "", "bfloat16") for gib in (16, 3))
    assert on(roomy, *asked).settings.checkpointing == "none"
    assert on(small, *asked).settings.checkpointing == "standard"
    assert on(Capacity("cpu", None, "", "bfloat16"), *asked).settings.checkpointing == "standard"
    assert on(small, "trainer=sft", "trainer.gradient_checkpointing=none").settings.checkpointing == "none"
