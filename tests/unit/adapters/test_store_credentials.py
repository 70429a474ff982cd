"""The password of a store that we start ourselves: no start destroys data for want of it (F5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.mongo._credentials import StoreCredentials
from core.errors import StoreUnavailable

pytestmark = pytest.mark.row("F5")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with something in it."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "documents").write_text("all accounts", encoding="utf-8")
    return path


def credentials_beside(data: Path) -> StoreCredentials:
    return StoreCredentials(data.with_name("credentials"))


def test_data_without_its_password_is_left_as_it_is(data: Path) -> None:
    """A copy without the private file is refused, each time, in one sentence that helps."""
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as refused:
            credentials_beside(data).begin(data)
        assert str(data.with_name("credentials")) in str(refused.value)
        assert "bring that file back" in str(refused.value)
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]
    assert (data / "documents").read_text(encoding="utf-8") == "all accounts"


def test_first_start_that_was_cut_short_is_moved_aside(data: Path) -> None:
    """What it left is kept, each time anew, and the next one begins with nothing."""
    credentials = credentials_beside(data)
    password = credentials.draft()
    for _ in range(2):
        data.mkdir(exist_ok=True)
        (data / "documents").write_text("half", encoding="utf-8")
        assert credentials.begin(data)
        assert not data.exists()
    aside = list(data.parent.glob("data-set-aside-*"))
    assert [(path / "documents").read_text(encoding="utf-8") for path in aside] == ["half"] * 2
    assert credentials.password() == password


@pytest.mark.parametrize("is_there", [True, False])
def test_first_start_drafts_before_there_is_data(tmp_path: Path, *, is_there: bool) -> None:
    """So that data without a draft was in use; a known password makes any start a later one."""
    data = tmp_path / "data"
    if is_there:
        data.mkdir()
    credentials = credentials_beside(data)
    assert credentials.begin(data)
    assert (tmp_path / "credentials.draft").exists()
    credentials.confirm()
    (tmp_path / "data").mkdir(exist_ok=True)
    (data / "documents").write_text("all accounts", encoding="utf-8")
    assert not credentials.begin(data)
    assert (data / "documents").exists()


def test_data_that_cannot_be_moved_is_not_emptied(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount cannot be renamed: that is said, and it stays as it is."""

    def busy(_self: Path, _target: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    credentials = credentials_beside(data)
    credentials.draft()
    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(StoreUnavailable, match="busy"):
        credentials.begin(data)
    assert (data / "documents").exists()
