package lower

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// Address blocks by the IANA special-purpose registries.
var (
	// RFC 1918 and RFC 4193.
	privateBlocks = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}
	// RFC 6890 and its successors: everything that is not globally reachable
	// for a reason other than being private.
	reservedBlocks = []string{"0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fe80::/10", "ff00::/8"}
)

// address lowers the functions of IP addresses; ok is false for others. What
// is no address is in no block.
func (l *lowerer) address(e plan.Call, a []val) (v val, ok bool, err error) {
	v.typ = plan.Bool
	var x val
	switch e.Func {
	case "isvalidip", "isvalidipv4", "isvalidipv6", "isipinsubnet", "isipv4insubnet", "isipv6insubnet", "ipv4tonumber", "isprivateip", "ispublicip", "isreservedip":
		if x, err = l.hoist(l.text(a[0])); err != nil {
			return v, true, err
		}
	}
	switch e.Func {
	case "isvalidip":
		v.sql, err = l.validAddress(x, true, true)
	case "isvalidipv4":
		v.sql, err = l.validAddress(x, true, false)
	case "isvalidipv6":
		v.sql, err = l.validAddress(x, false, true)
	case "isipinsubnet", "isipv4insubnet", "isipv6insubnet":
		v.sql, err = l.inBlocks(x, []string{litText(a[1])})
	case "ipv4tonumber":
		v.typ = plan.Int
		v.sql, err = l.op(opIPv4, x.sql)
	case "isprivateip":
		v.sql, err = l.inBlocks(x, privateBlocks)
	case "isreservedip":
		v.sql, err = l.inBlocks(x, reservedBlocks)
	case "ispublicip":
		var valid, in string
		if valid, err = l.validAddress(x, true, true); err != nil {
			return v, true, err
		}
		in, err = l.inBlocks(x, append(append([]string(nil), privateBlocks...), reservedBlocks...))
		v.sql = "(" + valid + " AND NOT " + in + ")"
	default:
		return v, false, nil
	}
	return v, true, err
}

func (l *lowerer) validAddress(x val, four, six bool) (string, error) {
	var parts []string
	for _, p := range []struct {
		on bool
		op Op
	}{{four, opIPv4}, {six, opIPv6}} {
		if !p.on {
			continue
		}
		sql, err := l.op(p.op, x.sql)
		if err != nil {
			return "", err
		}
		parts = append(parts, sql+" IS NOT NULL")
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}

// inBlocks lowers membership in one of the CIDR blocks.
func (l *lowerer) inBlocks(x val, blocks []string) (string, error) {
	if len(blocks) == 1 {
		if p, err := netip.ParsePrefix(blocks[0]); err == nil && p.Addr().Is4() && p.Bits() >= 8 {
			return l.inBlock4(x, p)
		}
	}
	var four, six []string
	var v4, v6 val
	for _, b := range blocks {
		p, err := netip.ParsePrefix(b)
		if err != nil {
			return "", errorf(nil, `expected a block such as "10.0.0.0/8"`, "%q is no CIDR block", b)
		}
		lo, hi := bounds(p)
		if p.Addr().Is4() {
			if v4.sql == "" {
				if v4, err = l.hoisted(opIPv4, x, plan.Int); err != nil {
					return "", err
				}
			}
			four = append(four, v4.sql+" BETWEEN "+strconv.FormatUint(uint64(be32(lo)), 10)+" AND "+strconv.FormatUint(uint64(be32(hi)), 10))
			continue
		}
		if v6.sql == "" {
			if v6, err = l.hoisted(opIPv6, x, plan.Text); err != nil {
				return "", err
			}
		}
		six = append(six, v6.sql+" BETWEEN "+l.d.Text(fmt.Sprintf("%x", lo))+" AND "+l.d.Text(fmt.Sprintf("%x", hi)))
	}
	return "coalesce(" + strings.Join(append(four, six...), " OR ") + ", FALSE)", nil
}

// inBlock4 lowers membership in one IPv4 block: the whole octets of its prefix
// are compared as text first, which settles most addresses cheaply.
func (l *lowerer) inBlock4(x val, p netip.Prefix) (string, error) {
	lo, hi := bounds(p)
	var prefix strings.Builder
	for _, o := range lo[:min(p.Bits()/8, 3)] {
		fmt.Fprintf(&prefix, "%d.", o)
	}
	starts, err := l.op(opStarts, x.sql, l.d.Text(prefix.String()))
	if err != nil {
		return "", err
	}
	num, err := l.op(opIPv4, x.sql)
	return fmt.Sprintf("CASE WHEN %s THEN coalesce(%s BETWEEN %d AND %d, FALSE) ELSE FALSE END", starts, num, be32(lo), be32(hi)), err
}

// hoisted is a primitive of x as a column.
func (l *lowerer) hoisted(op Op, x val, typ plan.Type) (val, error) {
	sql, err := l.op(op, x.sql)
	if err != nil {
		return val{}, err
	}
	return l.hoist(val{sql: sql, typ: typ})
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// bounds are the first and the last address of a block.
func bounds(p netip.Prefix) (lo, hi []byte) {
	lo = p.Masked().Addr().AsSlice()
	hi = append([]byte(nil), lo...)
	for i := p.Bits(); i < len(hi)*8; i++ {
		hi[i/8] |= 0x80 >> (i % 8)
	}
	return lo, hi
}
