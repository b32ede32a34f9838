"""What a model's folder shows without torch: is it whole, how large, under which licence, does it want to run code."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.models.checks import code_files, code_problems, folder_problems, small_problems
from ohlora.models.folder import LocalModel, describe_model, folder_hash
from ohlora.models.terms import card_licence, licence_of
from ohlora.models.weights import parameters_m, safetensors_bytes
from ohlora.planning.plan import plan_run


def local(*overrides: str) -> LocalModel:
    return plan_run(compose_config(list(overrides))).model


def write(path: Path, shapes: dict[str, tuple[str, list[int]]]) -> None:
    """A safetensors file of zeros."""
    width, header, end = {"F32": 4, "BF16": 2, "U8": 1}, {}, 0
    for name, (dtype, shape) in shapes.items():
        size = width[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "original"
    made.mkdir()
    (made / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (made / "tokenizer.json").write_text("{}")
    write(made / "model.safetensors", {"a.weight": ("F32", [500, 1000]), "mask": ("U8", [1000, 1000])})
    return made


def problems(folder: Path, *more: str) -> list[str]:
    return folder_problems(local("model=local", f"model.path={folder}", *more).option, folder)


def test_whole(folder: Path) -> None:
    assert problems(folder) == [] and parameters_m(folder) == 0.5
    assert safetensors_bytes(folder / "model.safetensors") == (folder / "model.safetensors").stat().st_size


def test_shards_by_their_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a.weight": "model-1.safetensors", "lm_head.weight": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write(folder / "model-1.safetensors", {"a.weight": ("BF16", [1000, 1000])})
    assert (
        problems(folder) == [f"model.path={folder}: model-2.safetensors is missing; the download did not finish"]
        and parameters_m(folder) is None
    )
    write(folder / "model-2.safetensors", {"lm_head.weight": ("BF16", [1000, 1000])})
    assert problems(folder) == [] and parameters_m(folder) == 2.0
    (folder / "config.json").write_text('{"tie_word_embeddings": true}')
    assert parameters_m(folder) == 1.0
    (folder / "model.safetensors.index.json").write_text("{")
    assert "model.safetensors.index.json cannot be read" in problems(folder)[0]


def test_pickles_are_refused_and_only_bin_asks_for_them(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")
    (found,) = problems(folder)
    assert "has only pickled weights" in found and "model.weights=bin" in found
    asked = ("model=local", f"model.path={folder}", "model.weights=bin")
    assert not local(*asked).is_in_place and local(*asked).folder == Path("models/local")
    write(folder / "model.safetensors", {"a.weight": ("F32", [1])})  # with both, the safe ones are taken
    assert local(*asked).is_in_place and local(*asked).folder == folder


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: Apache-2.0\n---\n", "apache-2.0"),
        ("---\nlanguage: ko\nlicense: 'gemma'\n---\n# x", "gemma"),
        ("---\nlicense:\n- gemma\n---\n", "gemma"),
        ("---\nlicense: [mit, gemma]\n---\n", "gemma"),  # of several the one that restricts
        ("\ufeff---\r\nlicense: gemma\r\n---\r\n", "gemma"),
        ("---\nlicense: other\nlicense_name: Llama3.2\n---\n", "llama3.2"),
        ("---\nlicense: other\nlicense_name: Llama 5 Community\n---\n", "llama-5-community"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "other:my-own"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: mit\nlicense_name: gemma\n---\n", "mit"),
        ("---\nlicense: {a: b}\n---\n", None),
        ("---\nlicense: gemma\nbroken: [\n---\n", None),
        ("---\nlicense: gemma\ndate: 2024-99-99\n---\n", "gemma"),
        ("---\nlicense: !!python/object/apply:os.getcwd []\n---\n", None),
        (f"---\nlicense: {'[' * 50_000}\n---\n", None),
        ("---\n- gemma\n---\n", None),
        ("---\nlanguage: ko\n---\nlicense: mit\n", None),
        ("license: mit\n", None),
        (None, None),
    ],
)
def test_card_licence(folder: Path, text: str | None, licence: str | None) -> None:
    if text is not None:
        (folder / "README.md").write_bytes(text.encode())
    assert card_licence(folder) == licence
    setting = local("model=local", f"model.path={folder}", f"outputs={folder.parent}")
    named = licence_of(setting)
    assert named == ("unknown" if licence in (None, "other") else licence)
    made = describe_model(setting, named)
    assert (made["licence"], made["label"], made["params_m"]) == (named, "original", 0.5)


@pytest.mark.parametrize(
    ("said", "card", "refused"),
    [
        ("mit", "apache-2.0", True),
        ("apache-2.0", "gemma", True),  # laxer than the card
        ("gemma", "llama3.2", True),
        ("llama3.2", "apache-2.0", False),  # stricter: cards forget what their base model is under
        ("mit", "other", False),
        ("apache-2.0", "apache-2.0", False),
    ],
)
def test_a_wrong_licence_tag(folder: Path, said: str, card: str, refused: bool) -> None:
    (folder / "README.md").write_text(f"---\nlicense: {card}\n---\n")
    found = problems(folder, f"model.license={said}")
    assert [problem for problem in found if f"model.license={said}: the card of" in problem] == found
    assert bool(found) == refused


@pytest.mark.parametrize(
    "described",
    [
        {"architectures": ["Gemma2ForCausalLM"]},
        {"architectures": [None, "GemmaForCausalLM"]},
        {"model_type": "gemma3_text"},
        {"architectures": ["LlamaForCausalLM"], "model_type": "gemma2"},  # transformers goes by the type
    ],
)
def test_no_option_overrules_the_class(folder: Path, described: dict[str, object]) -> None:
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    for said in ("mit", "apache-2.0", "llama3.2"):
        (found,) = problems(folder, f"model.license={said}")
        assert found.startswith(f"model.license={said}: model.path={folder} belongs to a class under gemma, which")
        assert licence_of(local("model=local", f"model.path={folder}", f"model.license={said}")) == "gemma"
    assert problems(folder) == problems(folder, "model.license=gemma") == []
    hub = local("model=hub", "model.repo=owner/name", "model.license=apache-2.0")
    assert len([found for found in small_problems(hub.option, folder) if "under gemma" in found]) == 1


def test_code_is_allowed_by_the_name_of_its_model(folder: Path) -> None:
    auto_map = {"AutoConfig": "conf.Own", "AutoModel": None}
    (folder / "config.json").write_text(json.dumps({"auto_map": auto_map}))
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["tok.Slow", null]}}')
    assert code_files(folder) == {"conf.py", "tok.py"}
    (found,) = problems(folder)
    assert "needs Python code of its author (conf.py, tok.py)" in found and "model.remote_code=original" in found
    assert "but this model is original" in problems(folder, "model.remote_code=true")[0]
    assert "conf.py, tok.py is missing" in problems(folder, "model.remote_code=original")[0]
    for name in ("conf.py", "tok.py"):
        (folder / name).write_text("")
    assert problems(folder, "model.remote_code=original") == []
    auto_map["AutoConfig"] = "other/repo--conf.Own"
    (folder / "config.json").write_text(json.dumps({"auto_map": auto_map}))
    assert "takes code from another repository" in problems(folder, "model.remote_code=original")[0]


def test_a_hub_models_code_is_allowed_by_its_repository(folder: Path) -> None:
    (folder / "config.json").write_text('{"auto_map": {"AutoConfig": "conf.Own"}}')
    ask = ("model=hub", "model.repo=owner/name")
    assert "model.remote_code=owner/name" in next(code_problems(local(*ask).option, folder))
    allowed = local(*ask, "model.remote_code=owner/name")
    assert list(code_problems(allowed.option, folder, here=False)) == []


def test_the_hash_follows_what_is_loaded(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    first = folder_hash(folder, cache)
    (folder / "README.md").write_text("not loaded")
    assert folder_hash(folder, cache) == first
    (folder / "conf.py").write_text("loaded")
    assert folder_hash(folder, cache) != first
