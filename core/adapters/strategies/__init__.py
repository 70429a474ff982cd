"""Strategies decide in processes of their own, one for each strategy that is expected to run.

``processes.py`` keeps them ready and ends those that hang, ``process.py`` is the controller's hold
on one of them, ``worker.py`` the program that runs there, ``messages.py`` what both say to one
another, ``printed.py`` what becomes of its output.
"""
