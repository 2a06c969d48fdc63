module trailward

go 1.26.0
