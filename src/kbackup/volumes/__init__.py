"""The door to what is done with the data of volumes: so far, what policies say of them."""

from kbackup.volumes._policies import decide_action

__all__ = ["decide_action"]
