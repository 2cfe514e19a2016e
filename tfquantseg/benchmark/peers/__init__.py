"""What runs with the packages of peers.lock, which exclude ours, as programs of their own.

A program there finds its neighbours by their bare names, because Python puts a program's folder
first on its path; nothing else of tfquantseg is within its reach.
"""
