"""Other ways to do the same work, run on the same machine in the same run."""
