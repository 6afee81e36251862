"""What a run would cost and what it could tell, before it is run (``exleak plan``).

:mod:`~exleak.planning.scatter` holds how much the value of a control prompt varies and why,
:mod:`~exleak.planning.power` what can be told with that, :mod:`~exleak.planning.cost` the seconds
and the memory of a run.
"""
