"""Where the migrations come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel, cel
from dbmigrate.api.spec.fields import Name, matching

SOURCE_FILE = (
    r"^((rollbacks/|verify/)?v[0-9]+\.[0-9]+\.[0-9]+_[A-Za-z0-9][A-Za-z0-9_.-]*"
    r"|repeatable/[A-Za-z0-9_][A-Za-z0-9_.-]*)\.sql$"
)

_IS_FILE = f"self.all(file, file.matches(r'{SOURCE_FILE}'))"
_FILE_WANTED = (
    "file names are vMAJOR.MINOR.PATCH_name.sql, vX.Y.Z_rollback_name.sql for a rollback, "
    "repeatable/name.sql or verify/vX.Y.Z_name.sql"
)
_IS_THERE = (
    "(has(self.configMaps) && size(self.configMaps) > 0) || "
    "(has(self.inline) && size(self.inline) > 0)"
)
_PART_WANTED = "name at least one ConfigMap in configMaps, or a file in inline"


class ConfigMapSource(ApiModel):
    """A ConfigMap with files of SQL."""

    name: Name
    """Name of the ConfigMap. Its keys that end in `.sql` are the files."""

    path: Literal["", "rollbacks", "repeatable", "verify"] = ""
    """Folder that its files stand in, or empty for the top. A rollback that is named
    vX.Y.Z_rollback.sql or vX.Y.Z_rollback_name.sql is recognised at the top too. Files of
    `repeatable` run whenever they have changed; those of `verify` are named
    vX.Y.Z_name.sql and judge the migration of that version."""


class Source(ApiModel):
    """Where the migrations come from; all parts are merged, no file name may come twice."""

    config_maps: Annotated[
        tuple[ConfigMapSource, ...],
        Field(
            max_length=32,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name", "path"],
            },
        ),
    ] = ()
    """ConfigMaps that hold the files. A change in one of them is noticed by itself."""

    inline: Annotated[
        dict[str, Annotated[str, StringConstraints(min_length=1, max_length=65536)]],
        Field(
            max_length=64,
            json_schema_extra=cel({_IS_FILE: _FILE_WANTED}),
        ),
    ] = {}
    """Files written in the resource itself, by file name; for small ones (192 KiB in all). A name
    may begin with one of the folders `rollbacks/`, `repeatable/` and `verify/`."""

    revision: (
        Annotated[
            str,
            StringConstraints(max_length=64),
            matching(
                r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
                "a revision is a Git commit, such as 4f2c9d1, or a tag",
            ),
        ]
        | None
    ) = None
    """Git commit that the files come from, recorded as git_commit_hash in the history."""

    model_config = {"json_schema_extra": cel({_IS_THERE: _PART_WANTED})}
