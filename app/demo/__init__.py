"""The demonstration: the shipped network and purchases, lived through month by month, and how to look around in it."""

from app.demo.full_network import run as run_full
from app.demo.past import ForeignBooks, run
from app.demo.welcome import background_worker, welcome

__all__ = ["ForeignBooks", "background_worker", "run", "run_full", "welcome"]
