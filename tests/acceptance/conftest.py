"""Fixtures of the acceptance tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mailbot.app import load_parts, load_shown, make_policy, open_store
from mailbot.config import load_config
from mailbot.demo.servers import EmbeddedImap, SmtpSink
from mailbot.pipeline import Classifies, Parts
from mailbot.worker import Worker
from tests.acceptance.deployment import ADDRESS, Deployment
from tests.acceptance.mailbots import Mailbot


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifies:
    deployment = Deployment.write(tmp_path_factory.mktemp("once"), imap_port=1, user="u", password="p", smtp_port=1)
    return load_parts(load_shown(load_config(deployment.config))).classifier


@pytest.fixture
def start(tmp_path: Path, classifier: Classifies) -> Iterator[Callable[..., Mailbot]]:
    """Starts mailbots with servers of their own, under the caps that a new deployment has."""
    with ExitStack() as stack:

        def begin(
            address: str = ADDRESS, *, dry_run: bool = False, templates: dict[str, str] | None = None, **caps: int
        ) -> Mailbot:
            imap, sink = stack.enter_context(EmbeddedImap()), stack.enter_context(SmtpSink())
            folder = tmp_path / address
            folder.mkdir()
            deployment = Deployment.write(
                folder, imap_port=imap.port, user=imap.user, password=imap.password, smtp_port=sink.port
            )
            text = deployment.config.read_text("utf-8").replace(ADDRESS, address)
            for name in ("per_hour", "per_domain_per_hour"):
                text = text.replace(f"\n{name} = 10000\n", f"\n{name} = {caps[name]}\n" if name in caps else "\n")
            deployment.config.write_text(text, "utf-8")
            for name, words in (templates or {}).items():
                (folder / "templates").mkdir(exist_ok=True)
                (folder / "templates" / name).write_text(words, "utf-8")
            shown = load_shown(load_config(deployment.config))
            store = open_store(shown.config, shown.campaign)
            stack.callback(store.close)
            parts = Parts(shown=shown, policy=make_policy(shown.config), classifier=classifier, dry_run=dry_run)
            worker = Worker(shown, store, lambda: parts, dry_run=dry_run)
            return Mailbot(address=address, imap=imap, sink=sink, worker=worker, store=store, deployment=deployment)

        yield begin
