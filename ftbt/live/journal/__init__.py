"""The journal of a deployment: what was decided, sent and answered, only ever added to.

* `writer` - `LiveJournal`: the one process that trades writes; `appending`, `reserve` - how
* `reader` - `read_journal`: anybody reads, and never blocks the writer
* `events` - what an event is, and the digest of many
* `backups`, `recovery` - copies that were read back, and the way back from one
* `tables`, `migrations`, `database` - one SQLite file

What a bot knows after a restart is a fold of the events; there is no second copy to edit.
"""

from ftbt.live.journal.backups import Keeper, backups_of
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.events import Digest, Event, digest, encode
from ftbt.live.journal.reader import JournalReader, Outcome, Summary, read_journal
from ftbt.live.journal.recovery import Recovery, begin_anew, newest_sound, recover_from_backup
from ftbt.live.journal.writer import LiveJournal

__all__ = [
    "Digest",
    "Event",
    "JournalReader",
    "Keeper",
    "LiveJournal",
    "Outcome",
    "Recovery",
    "Summary",
    "backups_of",
    "begin_anew",
    "check_file",
    "digest",
    "encode",
    "newest_sound",
    "read_journal",
    "recover_from_backup",
]
