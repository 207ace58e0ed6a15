"""How much of what gateways publish is remembered, so that none of them fills the memory.

| limit | of | what happens beyond it |
| --- | --- | --- |
| :data:`STATES_MOST` | state topics of one gateway | further ones are not taken, and counted |
| :data:`BYTES_MOST` | all texts of one gateway | the same |
| :data:`TEXT_MOST` | the text of a door, a room or a point | it cannot be read: it is unknown |
| :data:`LONG_TEXT_MOST` | ``info``, ``health``, all alarms together | the same |
| :data:`RECORDERS_MOST` | recorders of one gateway | further ones are not taken |
| :data:`GUARANTEES_MOST` | guarantees of one gateway | the first are shown |
| :data:`ALARMS_MOST` | alarms of one gateway | the first are shown |
| :data:`WORDS_MOST` | characters of one word or sentence | it is cut |
| :data:`STRANGERS_MOST` | names of gateways that are not enrolled | counted together as ``""`` |
| :data:`STRANGER_NAME_MOST` | characters of such a name | it is cut |
| :data:`EVENTS_MOST` | urgent events of all gateways | the oldest go |
| :data:`EVENTS_OF_ONE` | urgent events of one gateway | its oldest go |
| :data:`EVENT_MOST` | the text of one event | it is not taken |
"""

from __future__ import annotations

STATES_MOST = 1_000
BYTES_MOST = 524_288
TEXT_MOST = 65_536
LONG_TEXT_MOST = 262_144
RECORDERS_MOST = 16
GUARANTEES_MOST = 50
ALARMS_MOST = 500
WORDS_MOST = 500
STRANGERS_MOST = 1_000
STRANGER_NAME_MOST = 64
EVENTS_MOST = 500
EVENTS_OF_ONE = 50
EVENT_MOST = 16_384
