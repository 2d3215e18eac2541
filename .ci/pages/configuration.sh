replace /etc/orgkeys/metrics.token metrics.token "of the files that the example names, the command reads this one"
block toml >orgkeys.toml
orgkeys token generate >metrics.token
run_commands
block console | sed 1d | diff - <(sed '/^$/d; /^== /d' printed) || fail "the settings are not printed as on the page"
