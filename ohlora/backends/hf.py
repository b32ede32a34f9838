"""backend=hf: plain transformers + PEFT + TRL. Never imports unsloth."""

from __future__ import annotations

from typing import Any

from ohlora.backends.effective import in_effect, keep_unscaled, lora_places, require_requested, versions
from ohlora.backends.interface import Backend, Loaded, LoadSpec, Mode


class HFBackend(Backend):
    name = "hf"
    label = "**w/o** Unsloth"
    title = "transformers + PEFT + TRL"
    libraries_mib = 940.0
    estimated_on = ("cpu", "cuda")

    def prepare(self) -> dict[str, str]:
        import peft  # noqa: F401
        import transformers  # noqa: F401

        return versions()

    def load(self, spec: LoadSpec) -> Loaded:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        options: dict[str, Any] = {}
        if spec.attention:
            options["attn_implementation"] = spec.attention
        if spec.quantization == "nf4":
            options["quantization_config"] = _nf4(spec)
        model = AutoModelForCausalLM.from_pretrained(
            spec.path,
            dtype=getattr(torch, spec.dtype),
            device_map={"": spec.device},
            local_files_only=True,
            trust_remote_code=spec.remote_code,
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            spec.path, local_files_only=True, padding_side="right", trust_remote_code=spec.remote_code
        )
        keep_unscaled(model)
        places: list[str] = []
        if spec.quantization == "nf4" and spec.device == "cpu":
            _keep_unpacked(model)
        if spec.new_adapter:
            places = lora_places(model, spec.new_adapter.targets)
            model = self._new_adapter(model, spec)
        elif spec.saved_adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(spec.saved_adapter), is_trainable=False)
        require_requested(model, spec, self.name, places)
        loaded = Loaded(model, tokenizer)
        self.set_mode(loaded, spec.mode)
        loaded.effective = {**in_effect(model, spec), "route": "transformers"}
        return loaded

    def set_mode(self, loaded: Loaded, mode: Mode) -> None:
        loaded.model.train(mode == "train")
        loaded.model.config.use_cache = mode == "infer"

    @staticmethod
    def _new_adapter(model: Any, spec: LoadSpec) -> Any:
        from peft import LoraConfig, get_peft_model

        # Not prepare_model_for_kbit_training: it converts embeddings and norms to float32, unsloth does not.
        if spec.gradient_checkpointing == "standard":
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.enable_input_require_grads()
        assert spec.new_adapter is not None
        return get_peft_model(
            model,
            LoraConfig(
                r=spec.new_adapter.rank,
                lora_alpha=spec.new_adapter.alpha,
                lora_dropout=spec.new_adapter.dropout,
                target_modules=list(spec.new_adapter.targets),
                use_dora=spec.new_adapter.method == "dora",
                use_rslora=spec.new_adapter.method == "rslora",
                bias="none",
                task_type="CAUSAL_LM",
            ),
        )


def _nf4(spec: LoadSpec) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, spec.dtype),
    )


def _keep_unpacked(model: Any) -> None:
    """On CPU bitsandbytes repacks weights for inference at the first evaluation, and training then silently stops."""
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
