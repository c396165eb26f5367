"""`mlgate keys new`."""

import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from mlgate.cli.console import Output, OutputOption, emit_json, result, say
from mlgate.errors import ConfigError

app = typer.Typer(help="Make keys that sign evidence.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def keys() -> None:
    """Keep `new` a word of its own: typer takes a group's only command for the group."""


@app.command("new", help="Write a key pair: the .key file signs, the .pub file is listed.")
def new(
    place: Annotated[
        str,
        typer.Argument(metavar="DIR_OR_PREFIX", help="DIR gets mlgate.key and mlgate.pub, PREFIX.key and .pub else"),
    ],
    kind: Annotated[str, typer.Option("--kind", metavar="ed25519|ecdsa", help="ecdsa is over P-256")] = "ed25519",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="90d|DATE", help="First day (UTC) on which it is believed no more; default: none"
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Write both files or none; the passphrase comes from MLGATE_KEY_PASSPHRASE."""
    from mlgate.attest.key_files import PASSPHRASE_VARIABLE, write_pair
    from mlgate.attest.keys import KeyKind, generate

    if kind not in set(KeyKind):
        raise ConfigError(f"--kind '{kind}' is no kind of key", hint=f"one of {', '.join(KeyKind)}")
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase == "":
        raise ConfigError(f"{PASSPHRASE_VARIABLE} is empty", hint="unset it, or give the key a passphrase")
    day = None if expires is None else _day(expires, datetime.now(UTC).date())
    private, public = _pair(place)
    key = generate(KeyKind(kind))
    write_pair(key, private=private, public=public, passphrase=passphrase, expires=day)
    if passphrase is None:
        say(f"mlgate: {private} is not encrypted: {PASSPHRASE_VARIABLE} is not set. Whoever reads the file can sign.")
    _print(
        output,
        kind=kind,
        keyid=key.public.keyid,
        private=private,
        public=public,
        encrypted=passphrase is not None,
        expires=None if day is None else str(day),
    )
    return 0


def _day(text: str, today: date) -> date:
    """Return the day that `--expires` names, after *today*."""
    days, fixed = re.fullmatch(r"([0-9]{1,5})d", text), re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
    try:
        day = today + timedelta(days=int(days[1])) if days else date.fromisoformat(text if fixed else "")
    except ValueError:
        raise ConfigError(f"--expires '{text}' is neither days nor a date", hint="90d, or 2027-01-01") from None
    if day <= today:
        raise ConfigError(
            f"--expires '{text}' is not after today ({today}): the key would never be believed", hint="90d"
        )
    return day


def _pair(place: str) -> tuple[Path, Path]:
    path = Path(place)
    if not place.isprintable():
        # Such a name could stand in no policy.
        raise ConfigError(f"{place!r} can not name a key", hint="choose printable characters on one line")
    try:
        if path.is_dir() or place.endswith("/"):
            path /= "mlgate"
        if path.suffix in {".key", ".pub"}:
            path = path.with_suffix("")
        if not path.parent.is_dir():
            raise ConfigError(f"{path.parent} is no folder", hint=f"mkdir -p {path.parent}")
    except OSError as error:  # longer than a name can be, or below a folder that is closed
        raise ConfigError(f"{place} can not be written ({error.strerror})", hint="choose another name") from None
    return path.with_name(f"{path.name}.key"), path.with_name(f"{path.name}.pub")


def _print(output: Output, **facts: Any) -> None:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in facts.items()}
    if output is Output.JSON:
        emit_json(plain)
        return
    result(f"{plain['private']} signs: give CI its text or its path as MLGATE_SIGNING_KEY, and keep it out of git")
    result(f"{plain['public']} is listed: evidence.signers: [{facts['public'].name}]")
    ends = "" if plain["expires"] is None else f", believed until {plain['expires']}"
    result(f"{plain['kind']}, keyid {plain['keyid']}{ends}")
