"""Real runs of the real job, killed at every place where a month could break, and what is in the stores afterwards.

`make test` does a dozen of them, `make test-faults` all. `points.py` says where runs are killed, `tracer.py` how a run
is stopped there without a change to the platform, `stores.py` how stores are read by others than the platform,
`world.py` what must hold, and `campaign.py` which kills are done in which order. `recovery.py` is about the platform as
a whole, with its sensors and its clock (`station.py`): what happens to it, and that it is whole again by itself.
"""
