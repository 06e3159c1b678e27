"""`dbmigrate-operator`: reads the settings, connects, and runs until SIGTERM."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from dbmigrate import __version__
from dbmigrate.controller.logs import configure
from dbmigrate.controller.settings import DEFAULT_RESOURCES, Settings
from dbmigrate.controller.timestamps import parse_duration

_log = logging.getLogger(__name__)


def _resources(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any]:
    if not value:
        return dict(DEFAULT_RESOURCES)
    try:
        data = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise click.BadParameter("expected a JSON object with requests and limits")
    return data


def _interval(_: click.Context, __: click.Parameter, value: str) -> float:
    try:
        return parse_duration(value).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_option = functools.partial(click.option, show_envvar=True)


@click.command(context_settings={"auto_envvar_prefix": "DBMIGRATE_OPERATOR"})
@click.version_option(__version__)
@_option("--runner-image", required=True, help="Image of the Jobs.")
@_option(
    "--runner-image-pull-policy",
    type=click.Choice(["Always", "IfNotPresent", "Never"]),
    default="IfNotPresent",
    show_default=True,
    help="When kubelet pulls the Jobs' image.",
)
@_option(
    "--runner-resources",
    callback=_resources,
    help="Requests and limits of the Jobs' container, as JSON.",
)
@_option(
    "--ttl-seconds-after-finished",
    type=click.IntRange(min=60),
    default=3600,
    show_default=True,
    help="How long a finished Job and its log are kept.",
)
@_option(
    "--namespaces",
    default="",
    help="Namespaces to work in, separated by commas; all when empty.",
)
@_option("--identity", default=None, help="Name of this process in Events.")
@_option(
    "--resync-interval",
    default="5m",
    callback=_interval,
    show_default=True,
    help="How often every resource is looked at again.",
)
@_option(
    "--concurrency",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="How many resources are worked on at once.",
)
@_option(
    "--health-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of /healthz; 0 for none.",
)
@_option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="Least level that is logged.",
)
@_option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    default="json",
    show_default=True,
    help="One JSON object a line, or text for people.",
)
@_option(
    "--kubeconfig",
    default=None,
    help="A kubeconfig file; else the pod's service account, then the default file.",
)
@_option("--context", default=None, help="Context in the kubeconfig.")
def main(log_level: str, log_format: str, **options: Any) -> None:
    """Run the operator of DatabaseMigrations."""
    configure(log_level, log_format)
    settings = _settings(options)
    try:
        asyncio.run(_run(settings))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 -- told in the log's own form
        _log.exception("the operator ends")
        sys.exit(1)


def _settings(options: dict[str, Any]) -> Settings:
    return Settings(
        runner_image=options["runner_image"],
        runner_image_pull_policy=options["runner_image_pull_policy"],
        runner_resources=options["runner_resources"],
        ttl_seconds_after_finished=options["ttl_seconds_after_finished"],
        namespaces=tuple(part.strip() for part in options["namespaces"].split(",") if part.strip()),
        identity=options["identity"] or "dbmigrate-operator",
        resync_interval=timedelta(seconds=options["resync_interval"]),
        concurrency=options["concurrency"],
        health_port=options["health_port"],
        kubeconfig=options["kubeconfig"],
        context=options["context"],
    )


async def _run(settings: Settings) -> None:
    # Imported only here: `--help` and a usage error need none of it.
    from dbmigrate.controller import handlers  # noqa: PLC0415
    from dbmigrate.controller.health import Health, Resync, serve  # noqa: PLC0415
    from dbmigrate.controller.kube import Kube  # noqa: PLC0415
    from dbmigrate.controller.reconcile import Reconciler  # noqa: PLC0415

    # Until kopf runs, which then takes these signals itself and returns.
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kube = await Kube.connect(settings.kubeconfig, settings.context)
    reconciler = Reconciler(kube, settings, lambda: datetime.now(UTC))
    heard = handlers.Handlers(reconciler)
    health = Health(time.monotonic, settings.resync_interval.total_seconds())
    resync = Resync(kube, reconciler, settings, heard.seen, health)
    tasks = [
        asyncio.create_task(reconciler.run(), name="reconciler"),
        asyncio.create_task(resync.run(), name="resync"),
    ]
    if settings.health_port:
        tasks.append(asyncio.create_task(serve(health, settings.health_port), name="health"))
    tasks.append(asyncio.create_task(handlers.watch(heard, kube, settings), name="watch"))
    waiter = asyncio.create_task(stop.wait(), name="signal")
    _log.info("dbmigrate-operator %s runs as %s", __version__, settings.identity)
    try:
        done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # what it failed by, if it did
    finally:
        for task in [waiter, *tasks]:
            task.cancel()
        await asyncio.gather(waiter, *tasks, return_exceptions=True)
        await kube.close()
        _log.info("dbmigrate-operator ends")
