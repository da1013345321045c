module podgate

go 1.26.0
