package segment

import (
	"testing"

	"trailward"
)

func TestFormsOfValues(t *testing.T) {
	b := build(t, trailward.KindJSON, nil, []in{
		{time: 1e18, raw: `{"quoted":"12","bare":12,"both":"7","json":[1,2],"yes":true}`},
		{time: 1e18 + 1, raw: `{"quoted":"13","bare":1.5,"both":7,"json":"x"}`},
	})
	r := write(t, b, Options{})
	got := map[string]Forms{}
	for _, f := range r.Meta.Fields {
		got[f.Path] = f.Forms
	}
	for path, want := range map[string]Forms{"quoted": InQuotes, "bare": WithoutQuotes, "both": InQuotes | WithoutQuotes, "json": InQuotes, "yes": WithoutQuotes, "@timestamp": 0} {
		if got[path] != want {
			t.Errorf("Forms of %s = %d, want %d", path, got[path], want)
		}
	}
}
