"""What the platform is compared with. These modules run in an environment of their own, `requirements.txt`."""
