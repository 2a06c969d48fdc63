package query

import (
	"strings"

	"trailward"
)

// aliases lists the columns that a kind's documentation also calls name.
func (s *partSchema) aliases(name string) []string {
	switch s.kind {
	case trailward.KindVPCFlow:
		return s.flowAliases(name)
	}
	return nil
}

// flowNames are CloudWatch Logs Insights' names of flow log fields that differ
// from the fields' own by more than case and separators.
var flowNames = map[string]string{"starttime": "start", "endtime": "end", "sourceaddress": "srcaddr", "destinationaddress": "dstaddr", "sourceport": "srcport", "destinationport": "dstport", "numpackets": "packets", "numbytes": "bytes", "account": "accountid"}

// flowAliases finds a flow log field by any of its spellings. Text files write
// account-id, Parquet and Athena account_id, Logs Insights accountId: they
// agree without case and separators.
func (s *partSchema) flowAliases(name string) []string {
	want := bare(name)
	if own, ok := flowNames[want]; ok {
		want = own
	}
	var out []string
	for _, f := range s.fields {
		if f.Path[0] != '@' && bare(f.Path) == want {
			out = append(out, f.Path)
		}
	}
	return out
}

// bare leaves only the letters and digits of a name, in lower case.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '-' || r == '_':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
