"""The workflows of the public host and the hooks of pre-commit: valid, and in step with the project."""

import pathlib
import re
import tomllib

import pytest
import yaml

pytestmark = pytest.mark.tensorflow
ROOT = pathlib.Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def jobs(workflow):
    return yaml.safe_load(workflow.read_text())["jobs"]


def runs(workflow):
    """Yield the shell commands of a workflow, once for each value of its matrix."""
    for job in jobs(workflow).values():
        matrix = job.get("strategy", {}).get("matrix", {})
        rows = matrix.get("include", []) + [
            {name: value} for name, values in matrix.items() if name != "include" for value in values
        ]
        for step in job["steps"]:
            for row in rows or [{}]:
                command = step.get("run", "")
                for name, value in row.items():
                    command = command.replace(f"${{{{ matrix.{name} }}}}", value)
                if "${{ matrix" not in command:
                    yield command


def test_there_are_four_workflows():
    assert [path.stem for path in WORKFLOWS] == ["docs", "nightly", "release", "test"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_valid_and_run_targets_of_the_makefile(workflow):
    document = yaml.safe_load(workflow.read_text())
    # YAML 1.1 reads the key `on` as True.
    assert set(document) <= {"name", True, "permissions", "concurrency", "jobs"}
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        needed = job.get("needs", [])
        assert {needed} if isinstance(needed, str) else set(needed) <= set(document["jobs"])
    makefile = (ROOT / "Makefile").read_text()
    slow = re.search(r"^SLOW := (.*)$", makefile, re.M)[1].split()
    targets = {*re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split(), *slow}
    called = [name for run in runs(workflow) for name in re.findall(r"^make ([\w-]+)", run, re.M)]
    assert called
    assert set(called) <= targets


def test_all_backends_and_the_oldest_and_newest_python_are_tested():
    tests, nightly = ROOT / ".github/workflows/test.yml", ROOT / ".github/workflows/nightly.yml"
    called = set(runs(tests))
    assert {
        "make test",
        "make test-jax",
        "make test-torch",
        "make test-oldest",
        "make coverage",
    } <= called
    assert {f"make test-slow-{name}" for name in ("tensorflow", "jax", "torch")} <= set(runs(nightly))
    pythons = jobs(tests)["test"]["strategy"]["matrix"]["python-version"]
    listed = [
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if ":: Python :: 3." in line
    ]
    assert [pythons[0], pythons[-1]] == [listed[0], listed[-1]]


def test_a_release_needs_the_tag_of_the_version_and_an_address():
    build = jobs(ROOT / ".github/workflows/release.yml")["build"]["steps"]
    check = next(step["run"] for step in build if "tag" in step.get("name", ""))
    assert "keras_gan/__init__.py" in check
    assert "OWNER" in check


def test_hooks_use_the_tools_of_the_environment():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert {
        "ruff",
        "ruff-format",
        "mypy",
        "codespell",
        "voice",
        "end-of-file-fixer",
        "large-files",
    } <= set(hooks)
    assert all(
        hook["entry"].startswith(".venv/bin/") for hook in hooks.values() if hook["language"] == "system"
    )


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("real digits in the place of samples", True),
        ("the same command goes on", True),
        ("ValueError: an argument that cannot be", True),
        ("`x` is no image", True),
        ("There is no release yet.", False),
        ("The same command resumes the run.", False),
    ],
)
def test_voice_hook_finds_unidiomatic_phrases(sentence, found):
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (pattern,) = [hook["entry"] for hook in repository["hooks"] if hook["id"] == "voice"]
    assert bool(re.search(pattern, sentence)) == found
