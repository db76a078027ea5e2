"""What Muster's own tests share."""

pytest_plugins = ["pytester"]
