"""kbackup: back up, restore and migrate what runs in Kubernetes."""
