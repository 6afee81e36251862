"""The servers that exleak can start: their commands, and what their versions are."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from exleak.errors import ModelError, SettingsError

#: The model's name on servers that take one.
ALIAS = "model"
_PLACE = "--host {host} --port {port}"


@dataclass(frozen=True)
class Kind:
    """A kind of server.

    Attributes:
        command: The name of its command.
        arguments: The command's arguments.
        module: The arguments of a Python interpreter that has the package.
        package: The package, as its name is written in the folder of installed packages.
        health: The path that answers with 200 once the model is loaded.
        model: The model's name in requests.
        suffix: Suffix of the model's file; empty for a checkpoint folder.
    """

    command: str
    arguments: str
    module: str
    package: str
    health: str = "health"
    model: str = ALIAS
    suffix: str = ""


KINDS = {
    "vllm": Kind(
        "vllm",
        f"serve {{path}} --served-model-name {{name}} {_PLACE}",
        "-m vllm.entrypoints.openai.api_server --model {path} --served-model-name {name} " + _PLACE,
        "vllm",
    ),
    "sglang": Kind(
        "sglang",
        f"serve --model-path {{path}} --served-model-name {{name}} {_PLACE}",
        "-m sglang.launch_server --model-path {path} --served-model-name {name} " + _PLACE,
        "sglang",
    ),
    "llama.cpp": Kind(
        "llama-server",
        f"-m {{path}} --alias {{name}} {_PLACE}",
        f"-m llama_cpp.server --model {{path}} --model_alias {{name}} {_PLACE}",
        "llama_cpp_python",
        health="v1/models",
        suffix=".gguf",
    ),
    "transformers": Kind(
        "transformers",
        f"serve {{path}} {_PLACE}",
        f"-m transformers.cli.transformers serve {{path}} {_PLACE}",
        "transformers",
        model="{path}",
    ),
}


def kind_of(name: str) -> Kind:
    """The kind of a server.

    Raises:
        SettingsError: There is no such kind.
    """
    if name not in KINDS:
        raise SettingsError(f"server {name!r} is unknown; use one of {', '.join(KINDS)}")
    return KINDS[name]


def words(text: str | None, option: str) -> list[str]:
    """A command line, split as a shell splits it.

    Args:
        text: The command line; an existing file is one word, even with spaces in its path.
        option: The option's name, for the error.

    Raises:
        SettingsError: A quotation mark is not closed.
    """
    if text is None:
        return []
    if Path(text).expanduser().is_file():
        return [str(Path(text).expanduser())]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: {str(error).lower()}") from None


def command_for(name: str, given: list[str]) -> list[str]:
    """The command of a server, without the arguments that say what it serves.

    Args:
        name: The kind of server.
        given: The command that the user gives; empty to look for it.

    Raises:
        ModelError: It is not installed here.
    """
    kind = kind_of(name)
    if given:
        program = shutil.which(given[0])
        if program is None:
            raise ModelError(f"--leakage-server-command {given[0]}: there is no such program")
        return [program, *given[1:]]
    beside = str(Path(sys.executable).with_name(kind.command))
    found = shutil.which(kind.command) or shutil.which(beside)
    if found is not None:
        return [found]
    package = kind.package.partition("_python")[0]
    if kind.suffix and importlib.util.find_spec(package):
        return [sys.executable]
    raise ModelError(
        f"--leakage-server {name}: {kind.command} is not installed in this environment; install "
        f"it, or name another environment's with --leakage-server-command /path/to/{kind.command}"
    )


def full_command(
    name: str, command: list[str], path: Path, port: int, arguments: list[str]
) -> list[str]:
    """The whole command line of a server on loopback.

    Args:
        name: The kind of server.
        command: From :func:`command_for`; a Python interpreter runs the kind's module.
        path: The checkpoint.
        port: The port.
        arguments: The user's, which come last.
    """
    kind = kind_of(name)
    pattern = kind.module if is_python(command) else kind.arguments
    values = {"path": str(path), "name": ALIAS, "host": "127.0.0.1", "port": port}
    return [*command, *(word.format_map(values) for word in pattern.split()), *arguments]


def is_python(command: list[str]) -> bool:
    """Whether a command ends with a Python interpreter."""
    return Path(command[-1]).name.startswith(("python", "pypy"))


def version_of(name: str, command: list[str]) -> dict[str, str]:
    """The version of a server's package, from the environment its command lies in.

    Returns:
        The version by package; empty if there is no such environment, for example for a binary.
    """
    package = kind_of(name).package
    library = Path(command[-1]).parent.parent / "lib"
    found = sorted(library.glob(f"python3*/site-packages/{package}-*.dist-info"))
    if not found:
        return {}
    version = found[-1].name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return {package.replace("_", "-"): version}
