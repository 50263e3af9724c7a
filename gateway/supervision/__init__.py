"""All processes of one host under one parent: started, listened to, restarted, stopped; the admin port; what systemd is told."""
