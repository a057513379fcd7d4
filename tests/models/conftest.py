collect_ignore = [
    "third_party"
]  # a package to install, see test_plugins.py; importing it registers its model
