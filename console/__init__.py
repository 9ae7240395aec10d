"""The web app: a health page, the links' landing page, and result files by signed address."""
