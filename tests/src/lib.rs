//! perfmon's live, replay and API tests stand in this package's `tests/` folder; what they share stands here.
