"""Drops requests by which an identity would delete itself: what follows would prove nothing."""

import os

import schemathesis

OWN = set(os.environ["OWN"].split())


@schemathesis.hook
def filter_case(context, case):
    named = {str(value) for value in (case.path_parameters or {}).values()}
    return case.method == "GET" or not OWN & named
