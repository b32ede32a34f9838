"""Checks before a model is used: consistent terms, no code that was not allowed, a tokenizer that loses no text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ohlora.config.schema import ModelConfig
from ohlora.errors import UserError
from ohlora.files import read_json
from ohlora.models.architectures import class_licence
from ohlora.models.folder import described_problems
from ohlora.models.licences import LICENCES
from ohlora.models.terms import card_licence
from ohlora.models.weights import weight_problems

SENTENCES = {
    "Korean": "오로라는 따뜻한 말로 답해요. 오늘 뭐 먹지?",
    "English": "The aurora answers kindly: what is for dinner today?",
}
RISK = "it would run on this machine with your permissions"


def subject(model: ModelConfig) -> str:
    """The option that named the model, for messages."""
    m = model
    if m.path:
        return f"model.path={m.path}"
    return f"model.repo={m.repo}" if m.source.value == "hub" else f"model.package={m.package}"


def small_problems(model: ModelConfig, folder: Path, code_here: bool = True) -> list[str]:
    """Problems in config, tokenizer files and card, found without weights and without libraries."""
    key = subject(model)
    found = described_problems(folder, key, model.architecture)
    return [*found, *_licence_problems(model, folder, key), *code_problems(model, folder, code_here)]


def folder_problems(model: ModelConfig, folder: Path) -> list[str]:
    """The same plus the weights' headers: every check before a run that uses a folder in place."""
    found = small_problems(model, folder)
    return found + weight_problems(folder, subject(model)) if (folder / "config.json").is_file() else found


def code_name(model: ModelConfig) -> str:
    """The value of `model.remote_code` that allows this model's code: its repository or folder name."""
    return Path(model.path).absolute().name if model.path else str(model.repo)


def code_files(folder: Path) -> set[str]:
    """The Python files that this model's config or tokenizer tells transformers to run."""
    found: set[str] = set()
    for name in ("config.json", "tokenizer_config.json"):
        try:
            auto_map = read_json(folder / name).get("auto_map") or {}
        except (OSError, ValueError, AttributeError):
            continue
        for value in auto_map.values() if isinstance(auto_map, dict) else [auto_map]:
            for reference in value if isinstance(value, list) else [value]:
                if reference:
                    found.add(f"{str(reference).split('.', maxsplit=1)[0]}.py")
    return found


def code_problems(model: ModelConfig, folder: Path, here: bool = True) -> Iterator[str]:
    """Problems with the author's code: not allowed, allowed for another model, or missing although `here`."""
    key, name, allowed = subject(model), code_name(model), model.remote_code
    if allowed is not None and allowed != name:
        yield (
            f"model.remote_code={allowed}: allows the Python code of {allowed}, but this model is {name}; leave it "
            f"out, or read that code and give model.remote_code={name}"
        )
        return
    files = code_files(folder)
    if files and allowed is None:
        yield (
            f"{key}: needs Python code of its author ({', '.join(sorted(files))}), and {RISK}; read it, then allow it "
            f"by name with model.remote_code={name}, or take a model that transformers has itself"
        )
    elif elsewhere := sorted(file for file in files if "--" in file):
        yield f"{key}: takes code from another repository ({elsewhere[0]}), which is refused; copy it into the model"
    elif here and (missing := sorted(file for file in files if not (folder / file).is_file())):
        yield f"{key}: {', '.join(missing)} is missing; copy the author's Python files too"


def check_loadable(model: ModelConfig, folder: Path) -> list[str]:
    """Let transformers read config and tokenizer; return notes on missing parts that are not required.

    Raises:
        UserError: an unknown architecture, no EOS, text that does not survive the tokenizer, or an unusable template.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    from ohlora.data.template_checks import check_template
    from ohlora.data.tokens import load_tokenizer

    key, trusted = subject(model), model.remote_code is not None
    try:
        described = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{key}: transformers cannot read its config.json: {_first_line(error)}") from None
    own = getattr(described, "auto_map", None) or {}
    if type(described) not in MODEL_FOR_CAUSAL_LM_MAPPING and "AutoModelForCausalLM" not in own:
        raise UserError(f"{key}: {described.model_type} is not a causal language model; choose another model")
    try:
        tokenizer, stop_ids = load_tokenizer(folder, model)
    except Exception as error:  # a tokenizer's own code may raise anything
        raise UserError(
            f"{key}: its tokenizer cannot be read: {_first_line(error)}; copy the tokenizer's files again"
        ) from None
    return [*_tokenizer_notes(tokenizer, key), *check_template(tokenizer, model, folder, stop_ids)]


def _tokenizer_notes(tokenizer: Any, key: str) -> list[str]:
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{key}: its tokenizer has no EOS token, so answers would never end; set eos_token in "
            "tokenizer_config.json, or use another model"
        )
    for language, sentence in SENTENCES.items():
        ids = tokenizer(sentence, add_special_tokens=False)["input_ids"]
        back = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if _plain(back) != _plain(sentence):
            raise UserError(
                f"{key}: its tokenizer does not preserve {language} ({sentence!r} becomes {back!r}); "
                "use a model for that language, or copy the tokenizer's files again"
            )
    notes = []
    if tokenizer.pad_token_id is None:
        notes.append(f"its tokenizer has no PAD token: EOS ({tokenizer.eos_token}) is used")
    if tokenizer.bos_token_id is None:
        notes.append("its tokenizer has no BOS token: prompts start without it")
    return notes


def _licence_problems(model: ModelConfig, folder: Path, key: str) -> Iterator[str]:
    """The class decides. An option may be stricter than the card, which often omits the base's terms, but not laxer."""
    said, lawful, card = model.license, class_licence(model, folder), card_licence(folder)
    if said is None:
        return
    if lawful:
        if said != lawful:
            yield (
                f"model.license={said}: {key} belongs to a class under {lawful}, which also covers derived models; "
                f"give model.license={lawful}, or remove it"
            )
        return
    if card is None or said == card or card not in LICENCES or card == "unknown":
        return
    if LICENCES[said].restricted and not LICENCES[card].restricted:
        return
    yield f"model.license={said}: the card of {key} says {card}; give model.license={card}, or leave it out"


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _first_line(error: BaseException) -> str:
    return ((str(error).strip() or type(error).__name__).splitlines())[0][:200]
