"""The main job: a partner asks about a merchant and gets an answer that can be proven later."""
