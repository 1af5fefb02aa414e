"""What goes from a judged run into trading: one file, made by `promote`, read by `load_deployment`.

* `model` - what a deployment is
* `promote` - from a finished, judged run to a deployment
* `files` - written and read; every change by hand is noticed
* `permission` - `may_trade`: the one rule of who may trade where
"""
