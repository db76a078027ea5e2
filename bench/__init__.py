"""`make bench`: how fast Muster recovers, beside what a careful admin and a hand-tuned script do on the same machine."""
