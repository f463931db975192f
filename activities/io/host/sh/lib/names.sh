#!/bin/sh
# Names and exit statuses that the scripts share with the worker's TypeScript; test/host compares them.

# shellcheck disable=SC2034 # the scripts that include this file use them

# In a fresh copy once it is verified, until the rebuild is finished. Holds the rebuild's id.
REBUILD_MARK=pgpool-runbook.rebuild
# In a data directory that is being emptied, until that is done. Holds the rebuild's id.
REMOVING_MARK=pgpool-runbook.removing
# In a fresh copy once its node's own configuration is back: what people mend there afterwards stays. Holds the rebuild's id.
RESTORED_MARK=pgpool-runbook.restored
# The fresh copy beside a directory has the directory's name and this ending.
FRESH_SUFFIX=.pgpool-runbook-rebuild

# The world differs from the plan; refused= says how.
REFUSED=3
# The cluster file is wrong; wrong= says why.
MISCONFIGURED=4
# The directory of the node's lock cannot be made; wrong= says why.
LOCK_FAILED=74
# Another act holds the node; closed= says which, or that nobody knows.
LOCK_HELD=75
# The act arrived after its deadline, or after the end of another one that it knew nothing of; closed= says so.
TOO_LATE=76
