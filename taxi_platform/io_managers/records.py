"""The names under which a materialization says what was stored where: the automation compares by them."""

#: Of a load: the lake's name for the version of the object that was loaded.
LAKE_VERSION = "lake version"
#: Of a load: which store was loaded (`core/warehouse/identity.py`).
STORE = "store"
#: Of a cleaned month: what is another than in the edition of its file before.
DIFFERENCE = "difference to the edition before"
#: Of an object in the lake, and of a load: SHA-256 of the raw file its rows come from.
RAW_SHA256 = "raw SHA-256"
#: Of a cleaned month, and of its object in the lake: the fingerprint of its rows (docs/fingerprint.md).
FINGERPRINT = "fingerprint"
