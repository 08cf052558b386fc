"""The pages of docs/: generated parts are up to date, and what is cited is there."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lethe.docs import EXISTS, MARKER, STAGES, folded, picture, replaced, rule_graph, tables
from lethe.errors import InputError
from lethe.exhibits import EXHIBITS, Exhibit

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "docs" / "targets.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config" / "README.md", *(ROOT / "docs").glob("*.md")]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config.yaml")),
    *(
        path
        for folder in ("src", "tests", "docs", "workflow", "config")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".smk", ".yaml", ".rst", ".json")
    ),
]


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_targets_are_up_to_date():
    text = TARGETS.read_text(encoding="utf-8")
    assert replaced(text, "targets", tables()) == text, "run: python -m lethe.docs docs/targets.md"


@pytest.mark.workflow
def test_picture_of_the_graph_is_up_to_date():
    text = TARGETS.read_text(encoding="utf-8")
    assert replaced(text, "graph", picture(rule_graph())) == text, "run: python -m lethe.docs docs/targets.md"


def test_rewriting_touches_nothing_but_the_block_and_needs_its_markers():
    begin, end = (MARKER.format(edge=edge, name="graph") for edge in ("begin", "end"))
    new = replaced(f"before\n{begin}\nold\n{end}\nafter\n", "graph", "new")
    assert new == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert replaced(new, "graph", "new") == new
    with pytest.raises(InputError, match="put the lines"):
        replaced(new, "targets", "new")


def test_every_rule_is_a_stage():
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert set(re.findall(r"^rule (\w+):", rules, re.M)) == set(STAGES)
    for rule, (_, files, _) in STAGES.items():
        if rule != "unlearn":  # its outputs depend on the config
            for name in files.split():
                assert f"{name.rstrip('/')}" in rules.split(f"rule {rule}:")[1].split("\nrule ")[0], f"{rule}: {name}"


def test_every_condition_is_told():
    always = Exhibit.__dataclass_fields__["when"].default
    assert {name for name, exhibit in EXHIBITS.items() if exhibit.when is not always} == set(EXISTS)


def test_folding_keeps_what_no_longer_path_says():
    edges = {("prepare", "base"), ("base", "finetune"), ("prepare", "finetune"), ("weigh", "heatmap"), ("main", "all")}
    edges |= {("weigh", "correlation"), ("correlation", "etw_fig2")}
    assert folded(edges) == [("prepare", "base"), ("base", "finetune"), ("weigh", "figures and tables")]


def test_nothing_cites_what_is_not_in_the_repository():
    for path in TEXTS:
        if path != Path(__file__).resolve():
            found = re.search(
                r"§\s*\d|specification (of|in|says)|our\s+specification", path.read_text(encoding="utf-8")
            )
            assert not found, f"{path}: {found}"


def test_cited_choices_exist():
    known = anchors(ROOT / "docs" / "choices.md")
    cited = {
        (path.name, anchor) for path in TEXTS for anchor in re.findall(r"choices\.md#([\w-]+)", path.read_text("utf-8"))
    }
    assert len(cited) > 20
    assert not {(name, anchor) for name, anchor in cited if anchor not in known}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.workflow
def test_command_of_the_workflow_catalog_works(tmp_path):
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert not usage["software-stack-deployment"]["conda"], "untested, see environment.yml"
    command = ["snakemake", "--cores", "2", *usage["mandatory-flags"]["flags"].split(), "--dry-run"]
    place = ["--snakefile", ROOT / "workflow" / "Snakefile", "--configfile", ROOT / "config.yaml"]
    done = subprocess.run([*command, *place, "--directory", tmp_path], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
