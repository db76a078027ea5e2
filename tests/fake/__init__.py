"""A Pi made of scripted answers, for tests of what watches and reports a recovery; it proves nothing of restic or systemd."""
