"""`crosswind tokens`: who may call the server, and as what."""

import os
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from crosswind.cli.failures import CommandError, usage_error
from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.tokens_pb2 import (
    CreateAccessTokenRequest,
    CreateEnrolmentTokenRequest,
    ListTokensRequest,
    RevokeTokenRequest,
    TokenInfo,
)

app = typer.Typer(help="Tokens of people and workers.", no_args_is_help=True)

COLUMNS = ("token_id", "kind", "subject", "role", "bundles", "queues", "create_time", "expire_time", "revoke_time")
SPARE = ("revoke_time", "queues", "create_time", "bundles", "role")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Role(StrEnum):
    """What the holder of an access token may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@command(app, "create")
def create_token(
    session: Session,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Who holds it.")],
    role: Annotated[
        Role | None, typer.Option(help="Make a token for a person or an API client, with this role.")
    ] = None,
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            help="Make a token for workers, which may publish this bundle; ends in * for a prefix. May be repeated."
        ),
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option(help="Of a worker's token: a queue that it may serve. Default: any.")
    ] = None,
    ttl: Annotated[str, typer.Option(metavar="SPAN", help="How long it lasts, such as 12h or 90d.")] = "30d",
    to_file: Annotated[
        Path | None, typer.Option("--to-file", help="Write the token to this new file, readable by you alone.")
    ] = None,
) -> None:
    """Makes a token, with --role for a person, with --bundle for workers, and prints it. The server keeps no copy."""
    if (role is None) == (not bundle):
        raise usage_error("Say what the token is for: --role for a person or an API client, or --bundle for workers.")
    client = session.client
    span = Duration()
    span.FromTimedelta(parse_span(ttl))
    token: str
    info: TokenInfo
    if role is not None:
        access = CreateAccessTokenRequest(
            subject=subject, role=f"ROLE_{role.name}", ttl=span, request_id=new_request_id()
        )
        made = client.call(client.tokens.CreateAccessToken, access)
        token, info = made.token, made.info
    else:
        enrolment = CreateEnrolmentTokenRequest(
            subject=subject, bundles=bundle or [], queues=queue or [], ttl=span, request_id=new_request_id()
        )
        enrolled = client.call(client.tokens.CreateEnrolmentToken, enrolment)
        token, info = enrolled.token, enrolled.info
    if to_file is not None:
        write_token(token, to_file)
    if session.output is Output.JSON:
        print_json(
            {"token": None if to_file else token, "token_file": str(to_file) if to_file else None, **to_object(info)}
        )
    else:
        print_line(f"The token is in {to_file}." if to_file else token)


@command(app, "list")
def list_tokens(
    session: Session,
    subject: Annotated[str, typer.Option(help="Only tokens of this subject.")] = "",
    ended: Annotated[bool, typer.Option("--all", help="Also those that are expired or revoked.")] = False,
) -> None:
    """Lists tokens, without the tokens themselves."""
    client = session.client
    request = ListTokensRequest(subject=subject, include_ended=ended)
    tokens = client.list_rows(client.tokens.ListTokens, request, "tokens")
    print_rows(map(to_object, tokens), COLUMNS, output=session.output, spare=SPARE, empty="There are no such tokens.")


@command(app, "revoke")
def revoke_token(
    session: Session, token_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `tokens list` shows it.")]
) -> None:
    """Revokes a token, and with a worker's token what was exchanged for it. It cannot be taken back."""
    client = session.client
    request = RevokeTokenRequest(token_id=token_id, request_id=new_request_id())
    info = client.call(client.tokens.RevokeToken, request).info
    if session.output is Output.JSON:
        print_json(to_object(info))
    else:
        print_line(f"The token {info.token_id} of {info.subject} is revoked.")


def parse_span(text: str) -> timedelta:
    """A span of time such as `90s`, `30m`, `12h` or `30d`."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None or int(match[1]) == 0:
        raise usage_error(f"`{text}` is no span of time: write a number and s, m, h or d, such as 12h or 90d.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def write_token(token: str, path: Path) -> None:
    """Writes a token to a new file that only its owner can read."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token + "\n")
    except FileExistsError:
        raise CommandError(f"{path} is there already: name a new file with --to-file.") from None
    except OSError as error:
        raise CommandError(
            f"The token cannot be written to {path}: {error.strerror}. It was made; revoke it."
        ) from None
