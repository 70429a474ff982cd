"""The fault campaign: whole days with faults and ends of the process, judged by an umpire.

``make faults`` runs it; docs/reliability.md says what it promises and how to read its table.
"""
