package main

import (
	"context"
	"time"

	"trailward/api"
)

// Groups lists the groups by name.
func (l *local) Groups(ctx context.Context) ([]api.GroupInfo, error) {
	list, err := l.store.GroupInfos()
	if err != nil {
		return nil, apiError(err)
	}
	out := make([]api.GroupInfo, len(list))
	for i, g := range list {
		out[i] = api.GroupInfo{Name: g.Name, Streams: g.Streams, Records: g.Records, Bytes: g.Bytes}
		if g.Records > 0 {
			out[i].First, out[i].Last = time.Unix(0, g.First).UTC(), time.Unix(0, g.Last).UTC()
		}
	}
	return out, ctx.Err()
}
