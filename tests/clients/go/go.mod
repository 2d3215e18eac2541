module story

go 1.19

require orgkeys v0.0.0

replace orgkeys => ./orgkeys
