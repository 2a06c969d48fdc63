package format

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"trailward"
)

// FlowColumns are the fields of a flow log's default format (version 2) in
// their order, which cannot be altered (VPC user guide, "Flow log records").
var FlowColumns = []string{
	"version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport",
	"protocol", "packets", "bytes", "start", "end", "action", "log-status",
}

// flowNames are the field names that AWS has documented for VPC (v2 to v11)
// and transit gateway (v6) flow logs. true: the name is a flow log's and no
// word of other texts.
var flowNames = func() map[string]bool {
	m := map[string]bool{
		"version": false, "protocol": false, "packets": false, "bytes": false, "start": false, "end": false,
		"action": false, "type": false, "region": false,
	}
	for _, n := range strings.Fields(`account-id interface-id srcaddr dstaddr srcport dstport log-status
		vpc-id subnet-id instance-id tcp-flags pkt-srcaddr pkt-dstaddr az-id sublocation-type sublocation-id
		pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path ecs-cluster-arn ecs-cluster-name
		ecs-container-instance-arn ecs-container-instance-id ecs-container-id ecs-second-container-id
		ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id reject-reason resource-id
		encryption-status instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2
		interface-type next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id
		next-hop-interface-type resource-type tgw-id tgw-attachment-id tgw-src-vpc-account-id
		tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni
		tgw-dst-eni tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id packets-lost-no-route
		packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired`) {
		m[n] = true
	}
	return m
}()

// maxFlowColumns bounds a header; AWS has some sixty fields.
const maxFlowColumns = 256

// FlowHeader returns the columns that a flow log's header line names, in
// order, or nil when the line is no such header. A header is two or more
// different names of lower-case letters, digits and '-', more than half of
// them documented ones and at least one of these used by nothing but flow
// logs; names that AWS adds later are taken as they are.
func FlowHeader(line []byte) []string {
	if len(line) < 3 || line[0] < 'a' || line[0] > 'z' || len(line) > 64*maxFlowColumns {
		return nil
	}
	// Most lines end here, before anything is allocated.
	if i := bytes.IndexByte(line, ' '); i < 0 || i > 40 {
		return nil
	} else if _, ok := flowNames[string(line[:i])]; !ok && bytes.IndexByte(line[:i], '-') < 0 {
		return nil
	}
	var cols []string
	known, sure := 0, false
	for word := range bytes.FieldsSeq(line) {
		if len(cols) == maxFlowColumns {
			return nil
		}
		for i, c := range word {
			if (c < 'a' || c > 'z') && (i == 0 || c != '-' && (c < '0' || c > '9')) {
				return nil
			}
		}
		s, ok := flowNames[string(word)]
		if ok {
			known++
			sure = sure || s
		}
		for _, c := range cols {
			if c == string(word) {
				return nil
			}
		}
		cols = append(cols, string(word))
	}
	if len(cols) < 2 || !sure || 2*known <= len(cols) {
		return nil
	}
	return cols
}

// FlowTable is [FlowHeader] for the first line of a file whose names may be words of any
// text, or are a single one: rows are lines behind it. It returns nil unless all
// names are documented, one of them is a flow log's own or they have both start and end, there
// is a row, and all rows have values of the forms that such fields have.
func FlowTable(line []byte, rows [][]byte) []string {
	var cols []string
	sure, start, end := false, false, false
	for word := range bytes.FieldsSeq(line) {
		name := string(word)
		s, ok := flowNames[name]
		if !ok || len(cols) == len(flowNames) || slices.Contains(cols, name) {
			return nil
		}
		sure, start, end = sure || s, start || name == "start", end || name == "end"
		cols = append(cols, name)
	}
	if !sure && !(start && end) || len(rows) == 0 {
		return nil
	}
	for _, row := range rows {
		n := 0
		for word := range bytes.FieldsSeq(row) {
			if n == len(cols) || !flowValue(cols[n], word) {
				return nil
			}
			n++
		}
		if n != len(cols) {
			return nil
		}
	}
	return cols
}

// flowValue reports whether a word has the form of a field's values. It knows those that a
// word of a text would hardly have.
func flowValue(name string, v []byte) bool {
	if string(v) == "-" {
		return true
	}
	switch name {
	case "srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr":
		_, err := netip.ParseAddr(string(v))
		return err == nil
	case "start", "end": // seconds since 1970, of this century
		return len(v) == 10 && allDigits(v)
	case "account-id":
		return allDigits(v) && len(v) == 12 || string(v) == "unknown"
	case "version", "srcport", "dstport", "protocol", "packets", "bytes", "tcp-flags", "traffic-path":
		return allDigits(v)
	case "interface-id":
		return isInterface(v)
	case "vpc-id":
		return bytes.HasPrefix(v, []byte("vpc-"))
	case "subnet-id":
		return bytes.HasPrefix(v, []byte("subnet-"))
	case "instance-id":
		return bytes.HasPrefix(v, []byte("i-"))
	case "action":
		return isAction(v)
	case "log-status":
		return isLogStatus(v)
	case "flow-direction":
		return string(v) == "ingress" || string(v) == "egress"
	}
	return false
}

func isInterface(w []byte) bool { return len(w) > 3 && string(w[:4]) == "eni-" }

func isAction(w []byte) bool { return string(w) == "ACCEPT" || string(w) == "REJECT" }

func isLogStatus(w []byte) bool {
	return string(w) == "OK" || string(w) == "NODATA" || string(w) == "SKIPDATA"
}

// isDefaultFlow reports whether raw is a line of the default format: exactly 14
// words, the first "2", and the ones with a fixed form in that form.
func isDefaultFlow(raw []byte) bool {
	if len(raw) < 30 || raw[0] != '2' || raw[1] != ' ' {
		return false
	}
	n, i := 0, 0
	for ; ; n++ {
		for i < len(raw) && raw[i] <= ' ' {
			if c := raw[i]; c != ' ' && c != '\t' && (c != '\r' || i != len(raw)-1) {
				return false
			}
			i++
		}
		if i == len(raw) {
			return n == len(FlowColumns)
		}
		start := i
		end, digits := word(raw, i)
		i = end
		w := raw[start:i]
		none := len(w) == 1 && w[0] == '-'
		ok := true
		switch n {
		case 1:
			ok = digits || string(w) == "unknown"
		case 2:
			ok = none || isInterface(w)
		case 5, 6, 7, 8, 9:
			ok = none || digits
		case 10, 11:
			ok = digits
		case 12:
			ok = none || isAction(w)
		case 13:
			ok = isLogStatus(w)
		case 14:
			ok = false
		}
		if !ok {
			return false
		}
	}
}

// word returns where the word that begins at i ends (at a byte up to a space),
// and whether it has digits only. It looks at eight bytes at once: "Bit
// Twiddling Hacks", "Determine if a word has a byte less than n".
func word(b []byte, i int) (end int, digits bool) {
	var other uint64 // not 0 when there was something else than a digit
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		blank := (x - 0x21*ones) & ^x & highs // the lowest mark is right
		y := x ^ 0x30*ones
		strange := ((y&^highs + 0x76*ones) | y) & highs
		if blank != 0 {
			n := bits.TrailingZeros64(blank) >> 3
			other |= strange & (1<<(8*n) - 1)
			return i + n, other == 0
		}
		other |= strange
	}
	for ; i < len(b) && b[i] > ' '; i++ {
		if b[i]-'0' > 9 {
			other = 1
		}
	}
	return i, other == 0
}

// splitFlow names the words of a flow log line, however they are set apart. Most
// lines are [FlowLine]'s, and come here once for each shape.
func splitFlow(raw []byte, columns []string, dst []trailward.Field) ([]trailward.Field, bool) {
	if columns == nil {
		columns = FlowColumns
	}
	base, n, i := len(dst), 0, 0
	for {
		for i < len(raw) && raw[i] <= ' ' {
			if c := raw[i]; c != ' ' && c != '\t' && (c != '\r' || i != len(raw)-1) {
				return dst[:base], false
			}
			i++
		}
		if i == len(raw) {
			break
		}
		if n == len(columns) {
			return dst[:base], false
		}
		start := i
		i, _ = word(raw, i)
		if i != start+1 || raw[start] != '-' {
			dst = append(dst, trailward.Field{Path: columns[n], Start: start, End: i})
		}
		n++
	}
	if n != len(columns) || n == 0 {
		return dst[:base], false
	}
	return dst, true
}

// wordEnd returns where the word that begins at i ends.
func wordEnd(b []byte, i int) int {
	for i < len(b) && b[i] > ' ' {
		i++
	}
	return i
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
