"""Files and folders that appear whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_gan.utils.typing import PathLike
from keras_gan.utils.validation import check_path

__all__ = [
    "atomic_file",
    "atomic_folder",
    "check_folder",
    "check_local_path",
    "cleanup",
    "reserve",
    "sync",
    "write_bytes",
]

# Ending of all temporary names, so that `cleanup` can recognize them.
_TEMPORARY = ".tmp"


@contextlib.contextmanager
def atomic_file(path: PathLike, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` if the code inside raises nothing.

    The file reaches the disk before it is renamed, and its folder afterwards: a reader, or a crash at
    any moment, sees the old file or the new one.

    Args:
        path: file to write; its folder is created if it is missing.
        suffix: ending of the temporary name, for writers that look at it.

    Raises:
        NotADirectoryError: a file is where the folder would be.

    Example:

    >>> import pathlib
    >>> from keras_gan.utils.files import atomic_file
    >>> with atomic_file("notes/hello.txt") as temporary:
    ...     _ = temporary.write_text("hello")
    >>> pathlib.Path("notes/hello.txt").read_text()
    'hello'
    """
    path = check_path("path", path)
    check_folder("path", path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, suffix)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: PathLike, content: bytes) -> None:
    """Write bytes to a file that appears whole or not at all.

    Args:
        path: file to write; its folder is created if it is missing.
        content: bytes.

    Raises:
        TypeError: `content` is not bytes.
        NotADirectoryError: a file is where the folder would be.

    Example:

    >>> import pathlib
    >>> from keras_gan.utils.files import write_bytes
    >>> write_bytes("notes/bytes.txt", b"hello")
    >>> pathlib.Path("notes/bytes.txt").read_bytes()
    b'hello'
    """
    if not isinstance(content, bytes):
        raise TypeError(
            f"`content` must be bytes. Received: {content!r} of type {type(content).__name__}."
        )
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def atomic_folder(path: PathLike) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `path` if the code inside raises nothing.

    All files and folders in it are synced to the disk before the rename.

    Args:
        path: folder to create. Its parent is created if it is missing, and removed again on failure.

    Raises:
        FileExistsError: `path` exists by the end; the message names it.

    Example:

    >>> import pathlib
    >>> from keras_gan.utils.files import atomic_folder
    >>> with atomic_folder("states/epoch-0001") as temporary:
    ...     _ = (temporary / "epoch.txt").write_text("1")
    >>> pathlib.Path("states/epoch-0001/epoch.txt").read_text()
    '1'
    """
    path = Path(path)
    created = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        for file in (*temporary.rglob("*"), temporary):
            sync(file)
        _rename(temporary, path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in created:
            with contextlib.suppress(OSError):  # other programs may use the folder by now
                folder.rmdir()
        raise


def _rename(temporary, path):
    try:
        temporary.rename(path)
    except OSError as error:
        if path.exists():
            raise FileExistsError(f"{path} already exists.") from error
        raise


def check_folder(name: str, path: PathLike) -> Path:
    """Return the path of a folder that exists or can be created, or raise.

    Args:
        name: name of the argument, for the message.
        path: what was received.

    Raises:
        TypeError: it is not a path.
        ValueError: it is empty, or contains a null character.
        NotADirectoryError: it, or a parent of it, is a file.

    Example:

    >>> from keras_gan.utils.files import check_folder
    >>> check_folder("directory", "samples/run-1").name
    'run-1'
    """
    folder = check_path(name, path)
    existing = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise NotADirectoryError(
            f"`{name}` needs the folder {str(folder)!r}, but {str(existing)!r} is a file. Choose "
            "another path, or move the file."
        )
    return folder


def check_local_path(name: str, path: Any) -> Path:
    """Return a local path, or raise.

    Args:
        name: name of the argument, for the message.
        path: what was received.

    Raises:
        TypeError: it is not a path.
        ValueError: it is empty, or remote.

    Example:

    >>> from keras_gan.utils.files import check_local_path
    >>> check_local_path("filepath", "models/digits.onnx").name
    'digits.onnx'
    """
    local = check_path(name, path)
    if "://" in os.fspath(path):
        raise ValueError(
            f"`{name}` must be a local path, since remote stores cannot rename what is complete. Write "
            f"it locally, and copy it. Received: {os.fspath(path)!r}"
        )
    return local


def sync(path: PathLike) -> None:
    """Return when a file, or the entries of a folder, are on the disk.

    Example:

    >>> from keras_gan.utils.files import sync
    >>> sync(".")
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(path: PathLike, size: int) -> None:
    """Create a file of `size` bytes, or raise an OSError if there is no room for it.

    HDF5 crashes where a disk is full, after the file has been opened.
    """
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def cleanup(folder: PathLike) -> None:
    """Delete temporary files and folders that a killed process has left in a folder.

    Args:
        folder: folder that no other process writes to.

    Example:

    >>> import pathlib
    >>> from keras_gan.utils.files import cleanup
    >>> pathlib.Path(".model.keras.1f0c7a3d.tmp.keras").touch()
    >>> cleanup(".")
    >>> pathlib.Path(".model.keras.1f0c7a3d.tmp.keras").exists()
    False
    """
    for path in Path(folder).glob(f".*{_TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _temporary(path, suffix=""):
    # A leading dot hides the name from servers and from readers of image folders. In containers, a
    # program that starts again often has the process number of the one that was killed.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}{suffix}")
