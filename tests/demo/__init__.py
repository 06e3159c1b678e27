"""`make demo`: the main job, shown on a real cluster to somebody who has never seen it."""
