"""What survives a restart on the laptop: folders, locks, baselines, the base store for deltas, the trash."""
