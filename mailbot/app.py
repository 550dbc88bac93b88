"""The composition root: Config -> wired parts. The only place that chooses adapters."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from mailbot.campaign import load_campaign
from mailbot.classifying import Classifier, Workshop, load_classifier, open_workshop
from mailbot.config import SHIPPED, Config
from mailbot.errors import ConfigError
from mailbot.filing import Store
from mailbot.model import Campaign, Record
from mailbot.pipeline import Parts
from mailbot.reading import read
from mailbot.rehearsal import rehearse
from mailbot.rendering import Templates
from mailbot.replying import compose
from mailbot.reviewing import alert, digest
from mailbot.screening import Policy
from mailbot.shown import Shown

#: the templates that every deployment needs
REQUIRED_TEMPLATES = (*compose.TEMPLATES, *digest.TEMPLATES, *alert.TEMPLATES)
#: told of long work: what is being done, and how much of it is done (0 to 1)
Watch = Callable[[str, float], None]


def load_shown(config: Config) -> Shown:
    """What is needed to show and answer, without a classifier.

    Raises:
        ConfigError: the campaign or its templates cannot be used; with every problem at once.
    """
    campaign = load_campaign(config.rules_folders)
    templates = load_templates(config)
    if problems := template_problems(campaign, templates):
        raise ConfigError(problems)
    return Shown(config=config, campaign=campaign, templates=templates)


def load_templates(config: Config) -> Templates:
    """The templates of a deployment, in its language as far as they are there."""
    return Templates(config.template_folders, language=config.campaign.language, time_zone=config.time_zone)


def template_problems(campaign: Campaign, templates: Templates) -> tuple[str, ...]:
    """What is wrong with the templates, with file and line; those that load are tried out on an example."""
    return templates.check(REQUIRED_TEMPLATES) or rehearse(campaign, templates)


def load_parts(shown: Shown, watch: Watch | None = None, *, dry_run: bool = False) -> Parts:
    """Everything that a mail meets on its way; takes two seconds, with new aims half a minute at the first start.

    Args:
        shown: what people see is made of.
        watch: told of long work.
        dry_run: what would be sent is held.

    Raises:
        ConfigError: the rules cannot be used; with every problem at once.
    """
    classifier = classifier_for(shown.config, shown.campaign, watch)
    return Parts(shown=shown, policy=make_policy(shown.config), classifier=classifier, dry_run=dry_run)


def load_understanding(config: Config | None, watch: Watch | None = None) -> tuple[Policy, Classifier]:
    """What is needed to understand mail in files.

    Args:
        config: None for the shipped campaign, and no addresses of our own.
        watch: told of long work.

    Raises:
        ConfigError: the campaign or its rules cannot be used.
    """
    if config is not None:
        return make_policy(config), classifier_for(config, load_campaign(config.rules_folders), watch)
    rules = (SHIPPED / "rules",)
    classifier = load_classifier(
        campaign=load_campaign(rules), rules_folders=rules, cache_folder=default_cache(), read=read, progress=watch
    )
    return Policy(), classifier


def classifier_for(config: Config, campaign: Campaign, watch: Watch | None = None) -> Classifier:
    """The classifier of a deployment."""
    return load_classifier(
        campaign=campaign,
        rules_folders=config.rules_folders,
        cache_folder=config.cache_folder,
        read=read,
        progress=watch,
    )


def open_workshop_for(config: Config | None) -> Workshop:
    """What a deployment's models are made of.

    Args:
        config: None for the shipped campaign.

    Raises:
        ConfigError: the campaign or its rules cannot be used.
    """
    rules = (SHIPPED / "rules",) if config is None else config.rules_folders
    cache = default_cache() if config is None else config.cache_folder
    return open_workshop(campaign=load_campaign(rules), rules_folders=rules, cache_folder=cache)


def default_cache() -> Path:
    """Where the trained classifier is kept when no configuration says so (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailbot"


def open_store(config: Config, campaign: Campaign) -> Store:
    """The store, its schema up to date.

    Raises:
        StoreUnavailable, StoreProblem, ConfigError: as `Store`.
    """
    return Store(config.store_url, campaign)


def make_policy(config: Config) -> Policy:
    """When mail is answered, in the terms of the guards."""
    acknowledge = config.acknowledge
    return Policy(
        own_addresses=config.own_addresses,
        coordinator=config.coordinator.address.lower(),
        digest_sender=config.account[0].address.lower(),
        answered_classes=acknowledge.classes,
        same_answer_days=acknowledge.same_answer_days,
        new_thread_days=acknowledge.new_thread_days,
        per_domain_per_hour=acknowledge.per_domain_per_hour,
        per_hour=acknowledge.per_hour,
        bounces_per_hour=acknowledge.bounces_per_hour,
        authserv_ids={account.name: account.authserv_id for account in config.account if account.authserv_id},
        receipt_below=acknowledge.receipt_below,
    )


def find_record(reference: str, config: Config) -> tuple[Store, Record]:
    """The open store, and the record that people mean by `reference`, such as BSEC-0042, bsec-42 or 42.

    Raises:
        ConfigError: it is no reference, or nothing is filed under it.
        StoreUnavailable, StoreProblem: as `Store`.
    """
    campaign = load_campaign(config.rules_folders)
    number = reference.upper().removeprefix(f"{campaign.reference_prefix.upper()}-")
    if not re.fullmatch("[0-9]{1,9}", number):
        raise ConfigError([f"{reference}: no reference; they look like {campaign.reference(42)}"])
    store = open_store(config, campaign)
    with store.read() as tx:
        record = tx.records.get(int(number))
    if record is None:
        raise ConfigError([f"{reference}: nothing is filed under it; `mailbot list` shows what is"])
    return store, record
