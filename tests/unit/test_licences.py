"""Licences: asked for once, by name; remembered with their version; carried by what is derived; never mislabelled."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ohlora.config.compose import compose_config
from ohlora.errors import UserError
from ohlora.models import acceptance
from ohlora.models.acceptance import REMEMBERED, read_acceptance, require_acceptance, will_accept
from ohlora.models.folder import LocalModel
from ohlora.models.licences import LICENCES
from ohlora.models.terms import copy_terms, find_licence, licence_of, screen_notice
from ohlora.planning.plan import plan_run, to_plain
from ohlora.running import rerun


@pytest.fixture
def config(tmp_path: Path):
    def make(*overrides: str) -> LocalModel:
        return plan_run(compose_config([f"models={tmp_path}/models", *overrides])).model

    return make


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_to_ask_is_told_what_to_add(config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="add model.accept_license=gemma .with make: ACCEPT_LICENSE=gemma."):
        require_acceptance(config())
    shown = capsys.readouterr().err
    for part in ("Gemma Terms of Use", "Section 3.2", "prohibited_use_policy", "checked 2026-"):
        assert part in shown
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("given", ["true", "True", "gemma"])
def test_accepted_on_the_command_line_is_remembered_and_said_once(config, given: str, tmp_path: Path, capsys) -> None:
    require_acceptance(config(f"model.accept_license={given}"))
    assert "Section 3.2" in capsys.readouterr().err
    record = json.loads((tmp_path / "models" / REMEMBERED).read_text())["gemma"]
    assert record["version"] == LICENCES["gemma"].version and record["how"] == f"model.accept_license={given.lower()}"
    require_acceptance(config("model=gemma2-2b-it"))  # the same licence, another model
    assert capsys.readouterr().err == "" and read_acceptance(config()) == record


@pytest.mark.parametrize("given", ["false", "llama3.2", "apache-2.0"])
def test_another_licence_or_a_no_accepts_nothing(config, given: str) -> None:
    setting = config(f"model.accept_license={given}")
    assert not will_accept(setting)
    with pytest.raises(UserError, match="not accepted here"):
        require_acceptance(setting)


@pytest.mark.parametrize(
    ("answer", "takes"), [("y\n", True), ("예\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_asked_at_a_terminal(config, monkeypatch: pytest.MonkeyPatch, answer: str, takes: bool) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if takes:
        require_acceptance(config())
        assert read_acceptance(config())["how"] == "at a terminal"
    else:
        with pytest.raises(UserError, match="not accepted here"):
            require_acceptance(config())
        assert read_acceptance(config()) is None


def test_candidates_licences_are_offered_once_each(config, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [config(f"model={name}") for name in ("gemma2-2b-it", "gemma3-270m", "llama1b", "qwen3-0.6b")]
    monkeypatch.setattr(sys, "stdin", Terminal("y\nn\n"))
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    acceptance.offer_acceptance(candidates)
    assert shown.getvalue().count("[y/N]") == 2
    assert [will_accept(one) for one in candidates] == [True, True, False, True]


def test_newer_terms_are_asked_for_again(config, tmp_path: Path) -> None:
    require_acceptance(config("model.accept_license=gemma"))
    path = tmp_path / "models" / REMEMBERED
    record = json.loads(path.read_text())
    record["gemma"]["version"] = "April 1, 2024"
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="not accepted here"):
        require_acceptance(config())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"gemma": 3}'])
def test_a_broken_memory_is_no_acceptance(config, tmp_path: Path, text: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / REMEMBERED).write_text(text)
    assert read_acceptance(config()) is None
    require_acceptance(config("model.accept_license=gemma"))
    assert read_acceptance(config())


def test_free_models_ask_for_nothing(config, capsys: pytest.CaptureFixture[str]) -> None:
    require_acceptance(config("model=smollm2-135m-instruct"))
    assert capsys.readouterr().err == ""


def test_what_is_made_from_gemma_or_llama_stays_under_it(config) -> None:
    assert licence_of(config("model=gemma-ko-v01")) == "gemma" and licence_of(config("model=llama1b")) == "llama3.2"
    with pytest.raises(UserError, match="models are under gemma, which also covers models derived from them"):
        config("model=gemma2-2b-it", "model.license=apache-2.0")


def test_a_class_is_under_its_licence_whatever_the_card_says(config, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Gemma2ForCausalLM"]}')
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    setting = config("model=local", f"model.path={tmp_path}")
    assert licence_of(setting) == "gemma" and not will_accept(setting)
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    assert licence_of(setting) == "apache-2.0"


def test_a_card_that_restricts_outweighs_an_option_that_does_not(config, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    for said, named in (("mit", "cc-by-nc-4.0"), ("llama3.2", "llama3.2")):
        assert licence_of(config("model=local", f"model.path={tmp_path}", f"model.license={said}")) == named


@pytest.mark.parametrize(
    ("tag", "title"),
    [
        ("llama2", "Llama 2 Community License"),
        ("llama4", "Llama 4 Community License"),
        ("cc-by-nc-3.0", "Creative Commons BY-NC 3.0"),
        ("cc-by-nc-nd-4.0", "Creative Commons BY-NC-ND 4.0"),
        ("llama5", "Llama licence 'llama5'"),
        ("gemma-2027", "Gemma licence 'gemma-2027'"),
        ("cc-by-nc-5.0", "Creative Commons licence 'cc-by-nc-5.0'"),
    ],
)
def test_every_tag_of_a_restricted_family_is_asked_for(config, tmp_path: Path, capsys, tag: str, title: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nlicense: {tag}\n---\n")
    setting = config("model=local", f"model.path={tmp_path}")
    assert licence_of(setting) == tag and not will_accept(setting)
    with pytest.raises(UserError, match=f"model.license={tag}: local is under the {title}, which was not accepted"):
        require_acceptance(setting)
    assert title in capsys.readouterr().err
    require_acceptance(config("model=local", f"model.path={tmp_path}", "model.accept_license=true"))
    assert read_acceptance(setting) and not read_acceptance(setting, "gemma")


@pytest.mark.parametrize("tag", ["other", "unknown", "openrail", "cc-by-5.0"])
def test_a_tag_that_nobody_knows_is_to_be_looked_up(config, tmp_path: Path, capsys, tag: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nlicense: {tag}\n---\n")
    setting = config("model=local", f"model.path={tmp_path}")
    assert licence_of(setting) == "unknown" and will_accept(setting)
    require_acceptance(setting)
    assert "Look it up before you use the model." in capsys.readouterr().err


OWN_CARD = "---\nlicense: other\nlicense_name: {name}\nlicense_link: {link}\n---\n"


def write_card(folder: Path, name: str, link: str = "LICENSE", text: str = "terms") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(OWN_CARD.format(name=name, link=link))
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "LICENSE").write_text(text)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("exaone", "exaone"),
        ("hyperclovax-seed", "hyperclovax-seed"),
        ("Kanana License", "kanana-license"),
        ("EXAONE AI Model License Agreement 1.2 - NC", "exaone-ai-model-license-agreement-1.2-nc"),
        ("tongyi (qwen)", "tongyi-qwen"),
    ],
)
def test_an_authors_own_licence_is_asked_for_by_its_name(config, tmp_path: Path, capsys, written, name) -> None:
    write_card(tmp_path / "m", written)
    where = ("model=local", f"model.path={tmp_path}/m", "model.repo=maker/m")
    setting = config(*where)
    assert licence_of(setting) == f"other:{name}" and not will_accept(setting)
    link = "https://huggingface.co/maker/m/blob/main/LICENSE"
    with pytest.raises(
        UserError, match=f"under the author's own licence '{name}', which was not accepted here; read"
    ) as no:
        require_acceptance(setting)
    assert f"read {link} and add model.accept_license={name} " in str(no.value)
    assert link in capsys.readouterr().err
    with pytest.raises(UserError, match="not accepted here"):
        require_acceptance(config(*where, "model.accept_license=gemma"))
    require_acceptance(config(*where, f"model.accept_license={name}"))
    assert read_acceptance(setting) and will_accept(setting)


def test_another_text_of_the_same_name_is_asked_for_again(config, tmp_path: Path) -> None:
    write_card(tmp_path / "one", "exaone", text="1.1 - NC")
    write_card(tmp_path / "two", "exaone", text="1.2 - NC")
    one, two = (config("model=local", f"model.path={tmp_path}/{name}") for name in ("one", "two"))
    require_acceptance(config("model=local", f"model.path={tmp_path}/one", "model.accept_license=exaone"))
    assert will_accept(one) and not will_accept(two)
    require_acceptance(config("model=local", f"model.path={tmp_path}/two", "model.accept_license=true"))
    assert will_accept(one) and will_accept(two)  # neither forgets the other


@pytest.mark.parametrize(
    ("card", "tag"),
    [
        ("license: other\nlicense_name: apache-2.0\nlicense_link: LICENSE", "apache-2.0"),
        ("license: other\nlicense_name: llama3.2", "llama3.2"),
        ("license: other\nlicense_link: https://example.org/terms", "other:other"),
        ("license: other\nlicense_name: exaone", "other:exaone"),
        ("license: other", "unknown"),
        ("license: [mit, other]\nlicense_name: exaone", "other:exaone"),
    ],
)
def test_what_a_card_of_its_own_terms_counts_as(config, tmp_path: Path, card: str, tag: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{card}\n---\n")
    (tmp_path / "config.json").write_text("{}")
    assert licence_of(config("model=local", f"model.path={tmp_path}")) == tag


def test_where_an_authors_own_licence_is_read(tmp_path: Path) -> None:
    write_card(tmp_path, "exaone", "https://example.org/LICENSE")
    found = find_licence("other:exaone", tmp_path, "maker/m")
    assert (found.url, len(found.version)) == ("https://example.org/LICENSE", 12)
    write_card(tmp_path, "exaone")
    assert find_licence("other:exaone", tmp_path).url == str(tmp_path / "LICENSE")
    assert find_licence("gemma", tmp_path) is LICENCES["gemma"]


def test_a_name_is_accepted_only_where_a_card_can_give_one(config) -> None:
    with pytest.raises(UserError, match="model.accept_license=exaone: choose from true, gemma"):
        config("model.accept_license=exaone")
    assert config("model=hub", "model.repo=maker/m", "model.accept_license=exaone")


def test_the_list_shows_an_authors_own_licence(ohlora, tmp_path: Path) -> None:
    write_card(tmp_path / "m", "exaone")
    listed = ohlora("task=licenses", "model=local", f"model.path={tmp_path}/m")
    assert listed.code == 0 and "| local | other:exaone | author's own licence 'exaone' |" in listed.out
    assert f"author's own licence 'exaone' ({tmp_path}/m/LICENSE)" in listed.out


def test_an_adapter_carries_its_bases_own_licence(tmp_path: Path) -> None:
    from ohlora.models.card import card_tags
    from ohlora.training.adapter import describe_adapter

    write_card(tmp_path / "m", "exaone")
    plan = plan_run(compose_config(["model=local", f"model.path={tmp_path}/m"]))
    (tmp_path / "README.md").write_text(describe_adapter(plan))
    assert "license: other\nlicense_name: exaone\n" in (tmp_path / "README.md").read_text()
    assert card_tags(tmp_path)[:2] == ["exaone", "other:exaone"]


def test_the_notice_and_the_terms_travel(tmp_path: Path) -> None:
    base, derived = tmp_path / "base", tmp_path / "derived"
    base.mkdir()
    derived.mkdir()
    (base / "GEMMA_TERMS.html").write_text("terms")
    copy_terms(base, derived, "gemma")
    assert (derived / "GEMMA_TERMS.html").read_text() == "terms"
    assert LICENCES["gemma"].notice in (derived / "NOTICE").read_text()
    assert "Built with Llama" in screen_notice("llama3.2", "x") and screen_notice("mit", "x") == ""


def test_the_command_line_refuses_and_leaves_nothing(ohlora, tmp_path: Path) -> None:
    (tmp_path / "models" / REMEMBERED).unlink()
    ran = ohlora("task=train", "trainer=smoke", "tracking=none")
    assert ran.code == 2 and ran.err.count("error: ") == 1 and "Traceback" not in ran.err
    assert "add model.accept_license=gemma" in ran.err and not (tmp_path / "outputs").exists()
    listed = ohlora("task=licenses")
    assert listed.code == 0 and "| gemma2-2b-it | gemma | Gemma Terms of Use |" in listed.out
    assert "not accepted" in listed.out and "700 million monthly users" in listed.out
    acceptance.require_acceptance(plan_run(compose_config(["model.accept_license=gemma"])).model)
    assert "| accepted 20" in ohlora("task=licenses").out


def run_directory(tmp_path: Path, *overrides: str) -> Path:
    """A run that somebody has handed on: its configuration, and no attempt yet."""
    node = compose_config([f"models={tmp_path}/models", f"outputs={tmp_path}/outputs", "tracking=none", *overrides])
    OmegaConf.save(OmegaConf.create(to_plain(node)), tmp_path / "config.yaml")
    return tmp_path


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "which was not accepted here; read https://ai.google.dev/gemma/terms and add model.accept_license=gemma"),
        (("model.accept_license=gemma", "device_memory_gib=0.1"), "preflight=warn runs it anyway"),
    ],
)
def test_a_run_directory_again_asks_and_says_where(tmp_path: Path, capsys, monkeypatch, more, said: str) -> None:
    monkeypatch.setattr(rerun, "execute", lambda *_: pytest.fail("it ran"))
    assert rerun.rerun(run_directory(tmp_path, "task=train", "trainer=smoke", *more)) == 2
    shown = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert said in shown
    assert shown.endswith(f"; this command takes no options, change them in {tmp_path / 'config.yaml'}")
    assert not (tmp_path / "outputs").exists()
