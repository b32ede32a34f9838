"""backend=unsloth: the same run with Unsloth. The only file that imports it, only in a child process.

Unsloth patches transformers, TRL, PEFT and torch at import, so `prepare` must be the first heavy import.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any, ClassVar

from ohlora.backends.effective import in_effect, keep_unscaled, lora_places, require_requested, versions
from ohlora.backends.interface import Backend, Loaded, LoadSpec, Mode, Setting, Support
from ohlora.files import read_json, write_json
from ohlora.measure.device import BF16_CAPABILITY

# Prefixes of classes that Unsloth trains in float32 instead of float16, which would overflow (FORCE_FLOAT32).
NO_FLOAT16 = ("EmbeddingGemma2", "Gemma3", "Gemma4", "Glm4Moe", "GptOss", "Qwen3Moe", "Qwen3_5")
CHECKPOINTING: dict[str, bool | str] = {"none": False, "standard": True, "unsloth": "unsloth"}
INSTALL = 'pip install "ohlora[unsloth]", or `make setup` in a checkout'


class UnslothBackend(Backend):
    name = "unsloth"
    label = "**with** Unsloth"
    title = "Unsloth"
    route_notes: ClassVar[dict[str, dict[str, str]]] = {
        "unsloth-cpu": {
            "en": "Unsloth ran on its CPU back end (route unsloth-cpu), which uses none of its GPU kernels",
            "ko": "Unsloth는 GPU 커널을 쓰지 않는 CPU 백엔드(unsloth-cpu)로 실행되었습니다",
        }
    }
    libraries_mib = 980.0
    estimated_on = ("cpu",)  # its GPU kernels keep fewer activations than autograd
    least_capability = (7, 0)  # the minimum of Triton; Unsloth itself checks nothing at import
    checkpointing = ("none", "standard", "unsloth")
    offloading = ("unsloth",)
    env: ClassVar[dict[str, str]] = {"UNSLOTH_DISABLE_STATISTICS": "1", "UNSLOTH_MEGA_CACHE": "0"}
    env_prefix = "UNSLOTH_"
    compile_caches = ("UNSLOTH_COMPILE_LOCATION",)
    argument_prefixes = ("unsloth_",)
    patch_marks = ("unsloth",)

    def probe(self, device: str) -> Support:
        if util.find_spec("unsloth") is None:
            return Support(False, "not_installed", f"backend=unsloth: Unsloth is not installed; {INSTALL}")
        if device == "cpu":
            import torch

            if torch.cuda.is_available():  # this process still sees a GPU
                return Support(
                    False,
                    "cpu_not_selectable",
                    "device=cpu: Unsloth uses the GPU it sees; hide it with "
                    "CUDA_VISIBLE_DEVICES= to use its CPU back end",
                )
        return super().probe(device)

    def warnings(self, setting: Setting) -> Iterator[str]:
        if setting.device != "cuda" or setting.capability is None:
            return
        bfloat16 = setting.capability >= BF16_CAPABILITY
        if (setting.architecture or "").startswith(NO_FLOAT16) and (setting.dtype == "float16" or not bfloat16):
            instead = "model.dtype=bfloat16" if bfloat16 else "a model of another class, such as smollm2-135m-instruct"
            why = "" if bfloat16 else " on this GPU, which has no bfloat16"
            yield (
                f"model.dtype={setting.dtype}: backend=unsloth runs {setting.architecture} in float32{why}, so it "
                f"cannot be compared with other back ends; use {instead}"
            )
        elif setting.dtype == "bfloat16" and not bfloat16:
            yield (
                "model.dtype=bfloat16: backend=unsloth uses float16 on this GPU, which has no bfloat16, so it cannot "
                "be compared with other back ends; use model.dtype=float16"
            )
        elif setting.trains and setting.dtype == "float32" and bfloat16:
            yield (
                "model.dtype=float32: backend=unsloth still trains in bfloat16 mixed precision on this GPU, so "
                "it cannot be compared with other back ends; use model.dtype=bfloat16"
            )

    def prepare(self) -> dict[str, str]:
        import unsloth

        self._unsloth = unsloth
        return versions("unsloth", "unsloth_zoo")

    def load(self, spec: LoadSpec) -> Loaded:
        import torch

        fast = self._unsloth.FastLanguageModel
        with _AdapterFolder(spec) as source:
            model, tokenizer = fast.from_pretrained(
                model_name=str(source),
                max_seq_length=spec.max_length,
                dtype=getattr(torch, spec.dtype),
                load_in_4bit=spec.quantization == "nf4",
                use_gradient_checkpointing=CHECKPOINTING[spec.gradient_checkpointing],
                use_exact_model_name=True,
                offload_embedding=False,  # its "auto" moves the embedding off a full GPU, which the other arm does not
                attn_implementation=spec.attention,
                local_files_only=True,
                trust_remote_code=spec.remote_code,
            )
        keep_unscaled(model)
        places: list[str] = []
        if spec.new_adapter:
            places = lora_places(model, spec.new_adapter.targets)
            model = fast.get_peft_model(
                model,
                r=spec.new_adapter.rank,
                lora_alpha=spec.new_adapter.alpha,
                lora_dropout=spec.new_adapter.dropout,
                target_modules=list(spec.new_adapter.targets),
                use_dora=spec.new_adapter.method == "dora",
                use_rslora=spec.new_adapter.method == "rslora",
                bias="none",
                use_gradient_checkpointing=CHECKPOINTING[spec.gradient_checkpointing],
                random_state=spec.seed,
                max_seq_length=spec.max_length,
            )
        tokenizer.padding_side = "right"
        require_requested(model, spec, self.name, places)
        loaded = Loaded(model, tokenizer)
        self.set_mode(loaded, spec.mode)
        if spec.saved_adapter and spec.mode == "infer":
            model.requires_grad_(False)  # it loads adapters for further training
        loaded.effective = {**in_effect(model, spec), "route": self._route(model)}
        return loaded

    def set_mode(self, loaded: Loaded, mode: Mode) -> None:
        fast = self._unsloth.FastLanguageModel
        if mode == "infer":
            fast.for_inference(loaded.model)
        else:
            fast.for_training(loaded.model)

    def has_own_kernels(self, loaded: Loaded) -> bool:
        return loaded.effective["route"] != "unsloth-cpu"

    def _route(self, model: Any) -> str:
        """cpu, fast (hand-written kernels for the architecture) or generic, as chosen by Unsloth."""
        if getattr(self._unsloth, "DEVICE_TYPE", "") == "cpu":
            return "unsloth-cpu"
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        layer = base.model.layers[0] if hasattr(getattr(base, "model", None), "layers") else base
        module = type(layer).forward.__module__
        return "unsloth-fast" if module.startswith("unsloth.models") else "unsloth-generic"


class _AdapterFolder:
    """The folder to load: the model's, or a saved adapter's files (as links) with a config that names it."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.copy: Path | None = None

    def __enter__(self) -> Path:
        if self.spec.saved_adapter is None:
            return self.spec.path
        self.copy = Path(tempfile.mkdtemp(prefix="ohlora-adapter-"))
        for path in self.spec.saved_adapter.iterdir():
            if path.name == "adapter_config.json":
                config = {**read_json(path), "base_model_name_or_path": str(self.spec.path)}
                write_json(self.copy / path.name, config)
            elif path.is_file():
                (self.copy / path.name).symlink_to(path)
        return self.copy

    def __exit__(self, *_: object) -> None:
        if self.copy:
            shutil.rmtree(self.copy, ignore_errors=True)
