"""Nothing is lost yet: look at every backup as if it were about to be needed. Daily, and in a minute."""


class TestBackups:
    def test_repository_opens(self, backups, repository):
        backups.check("open", repository)

    def test_copy_is_fresh(self, backups, copy):
        backups.check("freshness", copy)

    def test_sample_comes_back(self, backups, copy):
        backups.check("restore", copy)

    def test_last_run_is_complete(self, backups, repository):
        backups.check("completion", repository)

    def test_last_run_ended_well(self, backups):
        backups.check("completion")

    def test_next_run_will_start(self, backups):
        backups.check("schedule")

    def test_repository_is_sound(self, backups, repository):
        backups.check("integrity", repository)

    def test_no_one_blow_takes_all_copies(self, backups, dataset):
        backups.check("copies", dataset)

    def test_dataset_is_consistent(self, backups, dataset):
        backups.check("consistency", dataset)

    def test_datasets_are_of_one_run(self, backups):
        backups.check("one-run")

    def test_secrets_are_kept_apart(self, backups, dataset):
        backups.check("classification", dataset)

    def test_everything_is_covered(self, backups):
        backups.check("coverage")

    def test_password_outlives_the_pi(self, backups, repository):
        backups.check("escrow", repository)

    def test_nothing_else_is_wrong(self, backups):
        backups.conclude()
