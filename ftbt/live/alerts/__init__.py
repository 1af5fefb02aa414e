"""Alerts: what the owner is told without asking, and what keeps it from being noise.

* `model` - an alert; `settings` - thresholds; `targets` - where to, by URLs that are secrets
* `rules`, `fills`, `day` - what is worth an alert; `words` - how it reads
* `limiter` - the same once, and not too many; `channel` - one thread for each target
* `service` - `Alerts`, the one that trading talks to: it never waits for any of this
"""

from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.service import AlertConfig, Alerts, Figures
from ftbt.live.alerts.settings import AlertSettings
from ftbt.live.alerts.targets import ALERTS_FILE_VARIABLE, ALERTS_VARIABLE, Target, load_targets

__all__ = [
    "ALERTS_FILE_VARIABLE",
    "ALERTS_VARIABLE",
    "Alert",
    "AlertConfig",
    "AlertSettings",
    "Alerts",
    "Figures",
    "Level",
    "Target",
    "Topic",
    "load_targets",
]
